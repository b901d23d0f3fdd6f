"""`hardmine models convert`: what was exported before gets its light form."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.exported_model import LIGHT, has_light_form, read_facts
from hardmine.serving.store.conversion import add_light_form
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore
from tests.serving.store import fake_models

EARLIER = Path(__file__).parents[1] / "fixtures" / "version_0_1"


@pytest.fixture
def store(tmp_path):
  shutil.unpack_archive(EARLIER / "store.tar.xz", tmp_path)
  return ModelStore(tmp_path / "store")


def make_light(model_dir, target):
  """Converts a model of a few bytes, which is not deterministic either."""
  shutil.copytree(model_dir, target)
  (target / LIGHT).mkdir(parents=True)
  (target / LIGHT / "facts.json").write_text(json.dumps({"at": str(target)}))


def convert(store, number):
  return add_light_form(store, number, make_light, reason=Reason(who="ann"))


def test_a_version_gets_a_light_twin_once(tmp_path):
  store = ModelStore(tmp_path / "store")
  assert fake_models.add(store, tmp_path, "a") == 1
  assert fake_models.add(store, tmp_path, "b") == 2
  done = convert(store, 1)
  assert (done.from_version, done.version, done.already) == (1, 3, False)
  one, three = store.version(1), store.version(3)
  for name in ("model_id", "kind", "experiment", "metrics", "verdict", "numbers"):
    assert getattr(one, name) == getattr(three, name)
  assert three.lineage == {
    **one.lineage,
    "converted_from": {"version": 1, "digest": one.digest},
  }
  added = store.audit()[-1]
  assert (added.action, added.to_version, added.who) == ("add", 3, "ann")
  assert added.why == "light form of version 1"
  for number in (1, 3):
    again = convert(store, number)
    assert (again.version, again.already) == (3, True)
  assert store.versions() == [1, 2, 3]
  assert convert(store, 2).version == 4


def test_a_damaged_version_is_not_converted(tmp_path):
  store = ModelStore(tmp_path / "store")
  fake_models.add(store, tmp_path, "a")
  path = store.local_dir(1) / "saved_model.pb"
  path.chmod(0o644)
  path.write_text("evil")
  with pytest.raises(RuntimeError, match=r"saved_model\.pb"):
    convert(store, 1)
  assert store.versions() == [1]


def test_what_becomes_another_model_is_not_added(tmp_path):
  store = ModelStore(tmp_path / "store")
  fake_models.add(store, tmp_path, "a")
  other = fake_models.write_model(tmp_path / "other", "b")

  def swap(model_dir, target):
    make_light(other, target)

  with pytest.raises(RuntimeError, match=r"is model .* and not"):
    add_light_form(store, 1, swap, reason=Reason(who="ann"))
  assert store.versions() == [1]


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (["9"], "a number"),
    (["store"], "Expected --output DIR"),
    (["store", "--output", "new"], "an exported model's folder"),
    (["store/versions/1", "--output", "store"], "an output folder that does not exist"),
    (["1", "--code", "nowhere"], "a folder of modules"),
  ],
)
def test_mistakes_are_one_line(store, tmp_path, monkeypatch, capsys, words, message):
  monkeypatch.chdir(tmp_path)
  assert main(["models", "convert", *words, "--store", "store"]) == 2
  err = capsys.readouterr().err
  assert err.count("\n") == 1
  assert message in err or "Expected" in err


@pytest.mark.slow
def test_an_earlier_model_is_converted_and_codes_alike(
  store, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.delenv("HARDMINE_RUNTIME", raising=False)
  shutil.copy(EARLIER / "picture.png", "picture.png")
  assert main(["encode", "picture.png", "a.hmc", "--model", "store:1"]) == 0
  assert "exported without a light form" in capsys.readouterr().err
  assert Path("a.hmc").read_bytes() == (EARLIER / "stream-1.hmc").read_bytes()
  assert main(["models", "convert", "1", "--store", "store", "--json"]) == 0
  assert json.loads(capsys.readouterr().out)["version"] == 4
  light = store.local_dir(4)
  assert has_light_form(light)
  earlier = read_facts(store.local_dir(1), "codec")
  assert {**read_facts(light, "codec"), **earlier} == read_facts(light, "codec")
  words = ["--model", "store:4", "--overwrite", "--json"]
  assert main(["encode", "picture.png", "b.hmc", *words]) == 0
  captured = capsys.readouterr()
  assert json.loads(captured.out)["runtime"] == "onnxruntime"
  assert captured.err == ""
  assert Path("b.hmc").read_bytes() == Path("a.hmc").read_bytes()
  assert main(["decode", "b.hmc", "b.png", *words]) == 0
  capsys.readouterr()
  apart = np.asarray(Image.open("b.png")).astype(int) - np.asarray(
    Image.open(EARLIER / "decoded-1.png").convert("RGB")
  )
  assert np.abs(apart).max() <= 1
  assert main(["models", "convert", "4", "--store", "store"]) == 0
  assert "version 4 has a light form already" in capsys.readouterr().out
  moves = ["models", "promote", "4", "--to", "fresh", "--store", "store"]
  assert main(moves) == 0


@pytest.mark.slow
def test_a_detector_of_before_is_converted(tmp_path, monkeypatch, capsys):
  from hardmine.trainers.detection.detector import Detector
  from tests.serving.server.tiny_models import export_tiny_detector

  monkeypatch.chdir(tmp_path)
  export_tiny_detector(tmp_path / "before")
  shutil.rmtree(tmp_path / "before" / LIGHT)
  assert main(["models", "convert", "before", "--output", "after"]) == 0
  assert "with a light form" in capsys.readouterr().out
  assert read_facts("after", "detector") == read_facts("before", "detector")
  picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
  before, after = Detector.load("before"), Detector.load("after", "onnxruntime")
  np.testing.assert_allclose(
    after.detect(picture).scores, before.detect(picture).scores, atol=1e-4
  )
  assert main(["models", "convert", "after", "--output", "again"]) == 0
  assert "has a light form already" in capsys.readouterr().out
  assert not Path("again").exists()
