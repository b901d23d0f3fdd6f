"""What a detector begins with: another detector, or a backbone from a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.folders import folder
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers import saved_model
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.training.initial_weights import begin_with
from tests.trainers.detection.tf1_checkpoints.writing import (
  backbone_values,
  randomize,
  write,
)
from tests.trainers.detection.tiny_extractor import TinyExtractor

CONFIG = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
TRAINING = DetectorTrainingConfig(steps=2, summary_steps=1, batch_size=2)
CLASS_HEADS = [f"predictor_{number}_class_logits" for number in range(4)]


def categories(*names):
  return Categories(
    categories=tuple(Category(id=3 * n, name=name) for n, name in enumerate(names, 1))
  )


CATS = categories("cat", "dog")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """A detector of cats and dogs, without the graph that serves it; and its network."""
  model = SSD(CONFIG, 2)
  randomize(model, 3)
  module = tf.Module()
  module.model = model
  folder = tmp_path_factory.mktemp("store") / "versions" / "3"
  facts = {
    "config": json.loads(CONFIG.to_json()),
    "categories": json.loads(CATS.to_json())["categories"],
    "model_id": model.model_id().hex(),
  }
  saved_model.save(module, {}, folder, "detector", facts)
  return str(folder), model


def begun(source, of=CATS, say=lambda line: None, **changes):
  config = dataclasses.replace(CONFIG, initial_weights=source, **changes)
  model = SSD.to_train(config, len(of), TRAINING)
  begin_with(model, of, say)
  return model


def weights(model):
  return {
    f"{layer.name}/{place}": np.asarray(weight)
    for layer in model.leaf_layers
    for place, weight in enumerate(layer.weights)
  }


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_the_same_categories_keep_everything(exported, kind):
  source, theirs = exported
  if kind == "bucket":
    bucket = folder(f"memory://bucket{source}")
    for path in filter(Path.is_file, Path(source).rglob("*")):
      bucket.write(str(path.relative_to(source)), path.read_bytes())
    source = bucket.url
  lines = []
  ours = weights(begun(source, say=lines.append, resolution_px=64))
  for name, value in weights(theirs).items():
    np.testing.assert_array_equal(ours[name], value, err_msg=name)
  (line,) = lines
  assert line.startswith(f"beginning with {source}: ")


@pytest.mark.parametrize(
  "of", [categories("cat", "cow"), categories("a", "b", "c")], ids=["others", "more"]
)
def test_other_categories_get_heads_of_their_own(exported, of):
  source, theirs = exported
  lines = []
  ours, wanted = weights(begun(source, of, lines.append)), weights(theirs)
  same = {
    name
    for name, value in wanted.items()
    if value.shape == ours[name].shape and np.array_equal(value, ours[name])
  }
  kernels = {f"{head}/0" for head in CLASS_HEADS}
  biases = {f"{head}/1" for head in CLASS_HEADS}
  assert set(wanted) - same == kernels | biases
  assert lines[1].startswith("  made anew, as the categories differ: 4 layers, ")
  assert all(head in lines[1] for head in CLASS_HEADS)


def refused(match, source, **changes):
  with pytest.raises(ValueError, match=match) as error:
    begun(source, **changes)
  assert "\n" not in str(error.value)


def test_another_network_is_refused_in_one_line(exported, tmp_path):
  source, _ = exported
  refused(r"width 0\.5 to begin with.*width=1\.0", source, width=0.5)
  refused(
    "feature_extractor MobileNetV1 to begin with.*TinyExtractor",
    source,
    feature_extractor=MobileNetV1,
    width=0.25,
  )
  refused("weights that are there", source.replace("/3", "/4"))
  refused("weights that are there", str(tmp_path))


def test_a_damaged_one_is_told(exported, tmp_path):
  source, _ = exported
  module = tf.Module()
  module.model = SSD(CONFIG, 2)
  with open(f"{source}/assets.extra/detector.json", encoding="utf-8") as file:
    facts = json.load(file)
  saved_model.save(module, {}, tmp_path / "m", "detector", facts)
  with pytest.raises(RuntimeError, match="says that it is model"):
    begun(str(tmp_path / "m"))


def test_a_backbone_from_a_checkpoint(tmp_path, capsys):
  config = SSDConfig(feature_extractor=MobileNetV1, width=1 / 16, resolution_px=64)
  theirs = SSD(config, 2)
  randomize(theirs, 5)
  values = backbone_values(theirs.leaf_layers, MobileNetV1, "FeatureExtractor/")
  write(tmp_path / "model.ckpt", values)
  config = dataclasses.replace(config, initial_weights=str(tmp_path))
  ours, wanted = weights(SSD.to_train(config, 2, TRAINING)), weights(theirs)
  for name, value in ours.items():
    if MobileNetV1.block_of(name.split("/")[0]) is not None:
      np.testing.assert_array_equal(value, wanted[name])
  assert f"{len(values)} variables matched" in capsys.readouterr().out


def test_the_moving_average_begins_with_the_weights(exported):
  """A training that begins elsewhere averages no random weights."""
  source, _ = exported
  model = begun(source)
  optimizer = keras.optimizers.SGD(0.0, use_ema=True, ema_momentum=0.99)
  optimizer.build(model.trainable_variables)
  begin_with(model, CATS, lambda line: None)
  before = [np.asarray(one) for one in model.trainable_variables]
  gradients = [np.zeros_like(value) for value in before]
  optimizer.apply_gradients(
    [
      (tf.constant(g), variable)
      for g, variable in zip(gradients, model.trainable_variables)
    ]
  )
  optimizer.finalize_variable_values(model.trainable_variables)
  for value, variable in zip(before, model.trainable_variables):
    np.testing.assert_allclose(np.asarray(variable), value, rtol=1e-6)
