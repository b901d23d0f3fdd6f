"""`hardmine detect` with a detector of known answers in the model's place."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.categories import Categories, Category
from hardmine.trainers.detection.detector import Detections, Detector

PHOTO = np.full((60, 90, 3), 120, np.uint8)


class TwoObjects:
  """Finds a cat and a dog in everything that is not black."""

  model_id = bytes(range(8))
  categories = Categories(
    categories=(Category(id=17, name="cat"), Category(id=18, name="dog"))
  )

  def detect(self, image, min_score=0.0):
    found = Detections(
      boxes_yxyx_px=np.array([[20, 10, 50, 40.4], [0, 60, 9.5, 90]], np.float32),
      scores=np.array([0.875, 0.25], np.float32),
      category_ids=np.array([18, 17]),
    )
    return found.above(min_score if image.any() else 2.0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds photo.jpg, black.png and the folder `model`."""
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)
  monkeypatch.setattr(Detector, "load", lambda path: TwoObjects())
  monkeypatch.chdir(tmp_path)
  for name, facts in (("model", "detector.json"), ("codec", "codec.json")):
    (tmp_path / name / "assets.extra").mkdir(parents=True)
    (tmp_path / name / "saved_model.pb").write_bytes(b"")
    (tmp_path / name / "assets.extra" / facts).write_text("{}")
  Image.fromarray(PHOTO).save("photo.jpg")
  Image.fromarray(0 * PHOTO).save("black.png")
  return tmp_path


def test_every_object_is_a_line_with_the_surest_first(capsys):
  words = ["detect", "photo.jpg", "black.png", "--model", "model"]
  assert main([*words, "--min-score", "0.2"]) == 0
  assert capsys.readouterr().out.splitlines() == [
    "photo.jpg: dog 0.875 at 10,20 30x30",
    "photo.jpg: cat 0.250 at 60,0 30x10",
    "black.png: nothing scores 0.2 or more",
  ]


def test_low_scores_are_left_out_unless_asked_for(capsys):
  assert main(["detect", "photo.jpg", "--model", "model"]) == 0
  assert capsys.readouterr().out.count("\n") == 1


def test_json_has_boxes_both_ways(capsys):
  words = ["detect", "photo.jpg", "black.png", "--model", "model", "--json"]
  assert main([*words, "--min-score", "0"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["model_id"] == bytes(range(8)).hex()
  photo, black = answer["images"]
  assert (photo["image"], photo["width_px"], photo["height_px"]) == (
    "photo.jpg",
    90,
    60,
  )
  assert black["objects"] == []
  dog = photo["objects"][0]
  assert (dog["category"], dog["category_id"], dog["score"]) == ("dog", 18, 0.875)
  np.testing.assert_allclose(dog["box_yxyx_px"], [20, 10, 50, 40.4], rtol=1e-6)
  np.testing.assert_allclose(dog["box_xywh_px"], [10, 20, 30.4, 30], rtol=1e-6)


def test_drawn_images_keep_size_and_kind_and_the_inputs_stay(folder, capsys):
  before = (folder / "photo.jpg").read_bytes()
  words = ["detect", "photo.jpg", "black.png", "--model", "model"]
  assert main([*words, "--output", "new/drawn", "--json"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert [one["drawn"] for one in answer["images"]] == [
    os.path.join("new/drawn", name) for name in ("photo.jpg", "black.png")
  ]
  with Image.open("new/drawn/photo.jpg") as drawn:
    assert (drawn.size, drawn.format) == ((90, 60), "JPEG")
    assert np.abs(np.asarray(drawn).astype(int) - 120).max() > 50
  with Image.open("new/drawn/black.png") as drawn:
    assert not np.asarray(drawn).any()
  assert (folder / "photo.jpg").read_bytes() == before
  words += ["--output", "new/drawn"]
  assert main(words) == 2
  assert "a new name, or --overwrite" in capsys.readouterr().err
  assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
  ("words", "status", "message"),
  [
    (["photo.jpg", "--output", "."], 2, "another file"),
    (["photo.jpg", "--output", ".", "--overwrite"], 2, "another file"),
    (["photo.jpg", "--output", "black.png"], 2, "a folder, or nothing"),
    (["photo.jpg", "./photo.jpg", "--output", "new"], 2, "different names"),
    (["photo.jpg", "--min-score", "30"], 2, "min_score=30"),
    (["none.jpg"], 1, "none.jpg: No such file"),
    (["text.png"], 2, "text.png: Expected an image"),
    (["photo.jpg", "--model", "codec"], 2, "an exported detector. Received: "),
    (["photo.jpg", "--model", "none"], 2, "an exported model's folder"),
  ],
)
def test_mistakes_are_one_line(folder, capsys, words, status, message):
  (folder / "text.png").write_text("not a picture")
  assert main(["detect", "--model", "model", *words]) == status
  err = capsys.readouterr().err
  assert message in err
  assert err.count("\n") == 1


def test_a_detector_does_not_decode(folder, capsys):
  assert main(["encode", "photo.jpg", "photo.hmc", "--model", "model"]) == 2
  assert "an exported codec. Received: model='model', a detector" in (
    capsys.readouterr().err
  )


def test_no_model_says_what_to_pass(capsys):
  assert main(["detect", "photo.jpg"]) == 2
  assert "Expected a detector: pass --model REF" in capsys.readouterr().err
