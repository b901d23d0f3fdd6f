"""`hardmine detect` with several models, with detectors of known answers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.ensemble_config import EnsembleConfig, Member, Views
from hardmine.schemas.exported_model import LIGHT_FACTS
from hardmine.trainers.detection.detector import Detections, Detector


class OneObject:
  """Finds a box of 30x20 around the brightest place, as sure as it is told."""

  def __init__(self, folder, *_):
    facts = json.loads(Path(folder, "assets.extra", "detector.json").read_text())
    self.model_id = bytes.fromhex(facts["model_id"])
    self.categories = Categories(
      categories=(Category(id=facts["id"], name="cat"), Category(id=9, name="dog"))
    )
    self._id, self._score = facts["id"], facts["score"]

  def detect(self, image):
    y, x = np.unravel_index(np.argmax(image[..., 0]), image.shape[:2])
    box = np.array([[y - 10, x - 15, y + 10, x + 15]]) + 0.5
    return Detections(
      boxes_yxyx_px=box.astype(np.float32),
      scores=np.array([self._score], np.float32),
      category_ids=np.array([self._id]),
    )


def write_model(folder, number, score, category_id=1):
  (folder / "assets.extra" / "light").mkdir(parents=True)
  (folder / LIGHT_FACTS).write_text("{}")
  (folder / "saved_model.pb").write_bytes(b"")
  facts = {"model_id": f"{number:016x}", "score": score, "id": category_id}
  (folder / "assets.extra" / "detector.json").write_text(json.dumps(facts))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds photo.png, and models a and b, which number cats differently."""
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)
  monkeypatch.setattr(Detector, "load", OneObject)
  monkeypatch.chdir(tmp_path)
  write_model(tmp_path / "a", 1, 0.9)
  write_model(tmp_path / "b", 2, 0.5, 4)
  photo = np.full((60, 90, 3), 120, np.uint8)
  photo[29, 44] = 255
  Image.fromarray(photo).save("photo.png")
  return tmp_path


def answer(words, capsys):
  assert main(["detect", "photo.png", "--json", *words]) == 0
  return json.loads(capsys.readouterr().out)


def test_models_are_fused_by_the_names_of_categories(capsys):
  found = answer(["--model", "a", "--model", "b"], capsys)
  (cat,) = found["images"][0]["objects"]
  assert (cat["category"], cat["score"]) == ("cat", pytest.approx(0.7))
  assert cat["box_yxyx_px"] == [19.5, 29.5, 39.5, 59.5]
  assert [one["model_dir"] for one in found["models"]] == ["a", "b"]
  other = answer(["--model", "b", "--model", "a"], capsys)
  assert other["images"] == found["images"]
  assert other["model_id"] == found["model_id"]


@pytest.mark.parametrize(
  "views", [["--flip"], ["--crops", "2"], ["--crops", "3", "--flip"]], ids=" ".join
)
def test_views_answer_in_pixels_of_the_picture(views, capsys):
  plain = answer(["--model", "a"], capsys)
  assert plain["model_dir"] == "a"
  found = answer(["--model", "a", *views], capsys)
  best = found["images"][0]["objects"][0]
  np.testing.assert_allclose(best["box_yxyx_px"], [19.5, 29.5, 39.5, 59.5])
  assert found["flip"] == ("--flip" in views)
  assert found["model_id"] != plain["model_id"]


def write_ensemble(path, **options):
  members = (
    Member(places=("gone", "../a"), model_id=f"{1:016x}"),
    Member(places=("../b",), model_id=f"{2:016x}", weight=3.0),
  )
  path.parent.mkdir(exist_ok=True)
  path.write_text(EnsembleConfig(members=members, **options).to_file())


def test_a_file_names_models_from_its_own_folder(folder, capsys, monkeypatch):
  write_ensemble(folder / "made" / "ensemble.json", views=Views(flip=True))
  words = ["--ensemble", "made/ensemble.json"]
  found = answer(words, capsys)
  (cat,) = found["images"][0]["objects"]
  assert cat["score"] == pytest.approx((0.9 + 3 * 0.5) / 4)
  assert found["flip"]
  assert not answer([*words, "--no-flip"], capsys)["flip"]
  os.symlink(folder / "made", folder / "link")
  linked = answer(["--ensemble", "link/ensemble.json"], capsys)
  assert (linked["images"], linked["model_id"]) == (found["images"], found["model_id"])
  monkeypatch.chdir(folder / "made")
  (folder / "made" / "photo.png").write_bytes((folder / "photo.png").read_bytes())
  assert answer(["--ensemble", "ensemble.json"], capsys)["images"] == found["images"]


def test_a_moved_root_is_found_and_another_model_is_not_taken(folder, capsys):
  write_ensemble(folder / "made" / "ensemble.json")
  (folder / "moved").mkdir()
  for name in ("a", "b", "made"):
    shutil.move(folder / name, folder / "moved" / name)
  answer(["--ensemble", "moved/made/ensemble.json"], capsys)
  shutil.rmtree(folder / "moved" / "b")
  write_model(folder / "moved" / "b", 3, 0.5)
  assert main(["detect", "photo.png", "--ensemble", "moved/made/ensemble.json"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "it holds 0000000000000003" in line
  assert "study ensemble" in line


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["--model", "a", "--model", "./a"], "each model once, and a is the same"),
    (["--model", "a", "--crops", "many"], "or 'none'. Received: crops='many'"),
    (["--model", "a", "--crops", "0"], "crops='0'"),
    (["--model", "a", "--crops", "99"], "1 to 8 crops a side"),
    (["--model", "a", "--ensemble", "e.json"], "and not both"),
    (["--ensemble", "nowhere.json"], "nowhere.json: No such file"),
    (["--ensemble", "photo.png"], "photo.png: "),
    (["--ensemble", "empty.json"], "empty.json: Expected at least one model"),
    (["--model", "a", "--model", "gone"], "model='gone'"),
  ],
  ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_one_line(folder, words, said, capsys):
  (folder / "empty.json").write_text('{"kind": "ensemble", "members": []}')
  assert main(["detect", "photo.png", *words]) in (1, 2)
  (line,) = capsys.readouterr().err.splitlines()
  assert said in line


def test_a_job_takes_one_model_and_whole_pictures(capsys):
  job = ["detect", "--images", "*.png", "--output", "out"]
  for words in (["--model", "a", "--model", "b"], ["--model", "a", "--flip"]):
    assert main([*job, *words]) == 2
    assert "one --model" in capsys.readouterr().err
