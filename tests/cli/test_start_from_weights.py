"""Weights that one has, by the commands of the page that tells how."""

from __future__ import annotations

import argparse
import re
import shlex
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import run
from hardmine.pipelines.cli.experiment_arguments import chosen_experiment
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.initial_weights import resolved
from hardmine.schemas.categories import Categories, Category
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.training.initial_weights import begin_with
from tests.serving.store import fake_models
from tests.trainers.detection.tf1_checkpoints.released import release
from tests.trainers.detection.tf1_checkpoints.writing import (
  backbone_values,
  randomize,
  write,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "start_from_weights.md"
LABELS = "".join(
  f"item {{ id: {i} name: 'n{i}' display_name: 'c{i}' }}\n" for i in (1, 3)
)

ANIMALS = Categories(categories=(Category(id=1, name="animal"),))


def commands():
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  """Downloads of width 0.25, a photograph and a store of codecs."""
  home = tmp_path_factory.mktemp("weights")
  release(home / "ssd")
  with tarfile.open(
    home / "ssd_mobilenet_v1_coco_2018_01_28.tar.gz", "w:gz"
  ) as archive:
    archive.add(home / "ssd", "ssd_mobilenet_v1_coco_2018_01_28")
  (home / "mscoco_label_map.pbtxt").write_text(LABELS)
  images = keras.Input((64, 64, 3))
  slim = keras.Model(images, MobileNetV1.feature_maps(images, 0.25, 0.9))
  randomize(slim)
  (home / "slim").mkdir()
  write(home / "slim" / "m.ckpt", backbone_values(slim.layers, MobileNetV1))
  with tarfile.open(home / "mobilenet_v1_0.75_224.tgz", "w:gz") as archive:
    archive.add(home / "slim", "mobilenet")
  codecs = ModelStore(home / "codecs")
  codecs.add(fake_models.write_model(home / "a"), **fake_models.facts())
  codecs.move("production", 1, reason=fake_models.by("ann"))
  pixels = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
  for name in ("photo.jpg", "animals/0.jpg", "photos/0.jpg", "held_out/0.png"):
    (home / name).parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(home / name)
  (home / "animals.json").write_text("{}")
  return home


def begun(words):
  """What a run would begin with, without the hour that it takes."""
  parser = argparse.ArgumentParser()
  run.add_arguments(parser)
  small = ["--set", "detector.width=0.25"] if words[1] == "ssd_small_set" else []
  experiment, _ = chosen_experiment(parser.parse_args([*words[1:], *small]))
  found, told = resolved(experiment)
  assert told
  if words[1] != "ssd_small_set":
    assert found.training.initial_weights.endswith("/codecs/versions/1")
    return []
  said = []
  model = SSD.to_train(found.detector, 1, found.training)
  begin_with(model, ANIMALS, said.append)
  return said


@pytest.mark.slow
def test_the_page_is_true(home, monkeypatch, capsys):
  monkeypatch.chdir(home)
  said = ""
  for words in commands():
    if words[0] == "run":
      said += "\n".join(begun(words))
    else:
      assert main(words) == 0, words
  out = capsys.readouterr().out
  assert "mobilenet_v1_0.75_224.tgz: 135 weights, 135 variables matched" in out
  assert "ssd_mobilenet_v1_coco_2018_01_28.tar.gz: 199 weights, 199 variables" in out
  assert f"beginning with {home / 'zoo'}/versions/1: " in said
  assert "made anew, as the categories differ: 6 layers, predictor_0_class_" in said
