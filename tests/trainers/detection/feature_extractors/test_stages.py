"""Both stages of every family, against Keras' own models of the same weights."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  load_weights,
)
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.keras_weights import named_weights
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from tests.trainers.detection.feature_extractors.keras_models import (
  NARROW,
  changed,
  joined_depths,
  randomize,
)


@dataclasses.dataclass(frozen=True)
class Family:
  """What a family's stages must be.

  Attributes:
    extractor: of ours.
    depths: of both stages' maps at `width`.
    strides_behind: of the second stage.
    reference: gives Keras' own model with the settings of ours.
    middle: name of the layer there with which our first stage ends; None: it has none.
    end: likewise of the second stage; None: the last.
    width: at which all are built.
    size: of images at which both are padded alike.
  """

  extractor: Any
  depths: tuple[int, int]
  strides_behind: int
  reference: Callable[[], keras.Model]
  middle: str | None
  end: str | None = None
  width: float = NARROW
  size: tuple[int, int] = (53, 44)


def padded(layer):
  return {"padding": "same"} if hasattr(layer, "padding") else {}


def unstrided(layer):
  """conv5 without its stride, which Keras gives to two layers of its first block."""
  return {"strides": 1} if re.match("conv5_block1_[01]_conv", layer.name) else {}


def padded_and_joined(layer):
  return padded(layer) | joined_depths(layer)


def of_ssd():
  """Inception V2, which Keras has not: the maps that SSD takes from it."""
  images = keras.Input((None, None, 3))
  maps = InceptionV2.feature_maps(images, NARROW, 0.9)
  return keras.Model(images, maps["stride_32"])


FAMILIES = {
  "vgg_16": Family(
    VGG16,
    (32, 32),
    1,
    lambda: changed(keras.applications.VGG16, NARROW, padded),
    "block5_conv3",
    "block5_conv3",
  ),
  "mobilenet_v1": Family(
    MobileNetV1,
    (128, 256),
    2,
    lambda: changed(keras.applications.MobileNet, 1, alpha=0.25),
    "conv_pw_11_relu",
    width=0.25,
    size=(64, 32),
  ),
  "inception_v2": Family(InceptionV2, (40, 64), 2, of_ssd, None),
  "inception_v3": Family(
    InceptionV3,
    (48, 128),
    2,
    lambda: changed(keras.applications.InceptionV3, NARROW, padded),
    "mixed7",
  ),
  "resnet_101": Family(
    ResNet101,
    (64, 128),
    1,
    lambda: changed(keras.applications.ResNet101, NARROW, unstrided),
    "conv4_block23_out",
  ),
  "inception_resnet_v2": Family(
    InceptionResNetV2,
    (80, 96),
    2,
    lambda: changed(keras.applications.InceptionResNetV2, NARROW, padded_and_joined),
    "block17_20_ac",
  ),
}


@dataclasses.dataclass(frozen=True)
class Built:
  """A family, our models (the first stage by its stride) and Keras' own."""

  family: Family
  first: dict[int, keras.Model]
  second: keras.Model
  reference: keras.Model
  weights_path: str

  @property
  def layers(self):
    return [*self.first[16].layers, *self.second.layers]


def first_stage(extractor, width, output_stride=16):
  images = keras.Input((None, None, 3))
  return keras.Model(images, extractor.first_stage(images, width, 0.9, output_stride))


def second_stage(extractor, width, depth):
  features = keras.Input((None, None, depth))
  return keras.Model(features, extractor.second_stage(features, width, 0.9))


@pytest.fixture(scope="module", params=FAMILIES)
def built(request, tmp_path_factory):
  """All weights are Keras' own."""
  family = FAMILIES[request.param]
  extractor, width = family.extractor, family.width
  first = {s: first_stage(extractor, width, s) for s in extractor.STRIDES}
  second = second_stage(extractor, width, family.depths[0])
  reference = family.reference()
  randomize(reference)
  path = tmp_path_factory.mktemp("weights") / "keras.npz"
  np.savez(path, **named_weights(reference))
  built = Built(family, first, second, reference, str(path))
  load_weights(built.layers, extractor, str(path), width)
  for stride in set(first) - {16}:
    load_weights(first[stride].layers, extractor, str(path), width)
  return built


def images(height, width):
  generator = np.random.default_rng(height * 1000 + width)
  return generator.uniform(-1, 1, (1, height, width, 3)).astype("float32")


def weight_names(layers):
  return [f"{layer.name}/{weight.name}" for layer in layers for weight in layer.weights]


def assert_close(mine, theirs):
  size = np.abs(theirs).max()
  assert size > 0
  np.testing.assert_allclose(mine, theirs, atol=1e-4 * size)


@pytest.mark.parametrize(("height", "width"), [(64, 81), (17, 1)])
def test_maps_are_aligned_with_the_image(built, height, width):
  for stride, model in built.first.items():
    size = (math.ceil(height / stride), math.ceil(width / stride))
    features = model(images(height, width))
    assert features.shape == (1, *size, built.family.depths[0])


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (17, 14), (1, 2)])
def test_second_stages_take_crops_of_any_size(built, rows, columns):
  crops = np.ones((2, rows, columns, built.family.depths[0]), "float32")
  by = built.family.strides_behind
  size = (math.ceil(rows / by), math.ceil(columns / by))
  assert built.second(crops).shape == (2, *size, built.family.depths[1])


def test_both_stages_are_keras_own_model(built):
  reference, family = built.reference, built.family
  pixels = images(*family.size)
  features = built.first[16](pixels)
  if family.middle:
    middle = reference.get_layer(family.middle).output
    assert_close(features, keras.Model(reference.input, middle)(pixels))
  end = reference.get_layer(family.end).output if family.end else reference.output
  assert_close(built.second(features), keras.Model(reference.input, end)(pixels))


@pytest.mark.parametrize(("height", "width"), [(64, 72), (57, 81)])
def test_a_finer_map_has_the_coarser_one_in_it(built, height, width):
  """Dilated convolutions see at stride 8 what others see at stride 16, borders too."""
  if 8 not in built.first:
    pytest.skip("has one stride")
  pixels = images(height, width)
  finer, coarser = (np.asarray(built.first[stride](pixels)) for stride in (8, 16))
  # SAME padding begins a strided layer of kernel 3 at the second position of an even
  # size and at the first of an odd one; ResNet's strided layers have kernel 1.
  row, column = (
    0 if built.family.extractor is ResNet101 else 1 - size % 2
    for size in finer.shape[1:3]
  )
  assert_close(finer[:, row::2, column::2], coarser)


def test_every_weight_of_keras_is_used_once(built):
  names = weight_names(built.layers)
  assert len(names) == len(set(names))
  assert set(names) == set(named_weights(built.reference))
  for model in built.first.values():
    of_first = weight_names(model.layers)
    assert of_first == names[: len(of_first)]


def test_blocks_count_on_through_both_stages(built):
  first, second = (
    {
      built.family.extractor.block_of(layer.name)
      for layer in model.layers
      if layer.weights
    }
    for model in (built.first[16], built.second)
  )
  assert first | second == set(range(len(first | second)))
  assert all(block > max(first) for block in second)


def test_strides_that_are_not_on_offer_are_refused(built):
  extractor = built.family.extractor
  with pytest.raises(ValueError, match=rf"of {extractor.__name__}\..*output_stride=4"):
    first_stage(extractor, built.family.width, 4)


def test_an_extractor_for_ssd_alone_says_what_it_lacks():
  for ask in (
    lambda: FeatureExtractor.first_stage(None, 1, 0.9),
    lambda: FeatureExtractor.second_stage(None, 1, 0.9),
  ):
    with pytest.raises(NotImplementedError, match="first_stage and second_stage"):
      ask()


def test_top_1_is_the_study_s():
  found = [family.extractor.TOP_1 for family in FAMILIES.values()]
  assert found == [71.0, 71.1, 73.9, 78.0, 76.4, 80.4]
  assert FeatureExtractor.TOP_1 is None
