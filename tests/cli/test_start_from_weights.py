"""Weights that one has, by the commands of the page that tells how."""

from __future__ import annotations

import re
import shlex
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from hardmine.serving.store.store import ModelStore
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from tests.cli.process import hardmine
from tests.cli.test_your_own_data import SMALL, draw
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


def commands():
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


def small(words):
  """The same story, but small: the page's own weights stay."""
  if words[0] != "run":
    return words
  names = {one.partition("=")[0] for one in words if "initial_weights=" in one}
  settings = [one for one in SMALL[words[1]] if one.partition("=")[0] not in names]
  return [*words, *(part for one in settings for part in ("--set", one))]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  """Downloads of width 0.25, annotated images, photographs and a codecs' store."""
  home = tmp_path_factory.mktemp("weights")
  draw(home / "animals", 0, 30)
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
  photos = [f"photos/{number}.jpg" for number in range(3)]
  for seed, name in enumerate(["photo.jpg", *photos, "held_out/0.png"]):
    (home / name).parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (192, 192, 3), np.uint8)
    Image.fromarray(pixels).save(home / name)
  return home


@pytest.mark.slow
def test_the_page_is_true(home):
  said = {}
  for words in commands():
    whole = small(words)
    if words[0] == "run" and "detector.initial_weights=zoo:production" not in words:
      # the Trainer is another test's; the graph is made of the weights already
      whole += ["--to", "CocoGen" if words[1] == "ssd_small_set" else "PatchGen"]
    done = hardmine(home, whole)
    assert done.returncode == 0, (whole, done.stdout, done.stderr)
    said[words[0], words[-1]] = done.stdout
  assert "variables matched" in said["models", "mscoco_label_map.pbtxt"]
  log = said["run", "detector.width=1"]
  assert f"beginning with {home / 'zoo'}/versions/1: " in log
  assert "made anew, as the categories differ: 6 layers, predictor_0_class_" in log
  zoo, store = ModelStore(home / "zoo"), ModelStore(home / "runs/ssd_small_set/store")
  assert store.version(1).lineage["began_with"] == {
    "store": zoo.url,
    "version": 1,
    "digest": zoo.version(1).digest,
    "model_id": zoo.version(1).model_id,
  }
