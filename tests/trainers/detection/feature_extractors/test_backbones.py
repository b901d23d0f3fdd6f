"""The backbones of the study beside MobileNet; Keras' own models are the reference."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.convolutions import Convolutions
from hardmine.trainers.detection.feature_extractors.extractor import load_weights
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.keras_weights import named_weights
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101, stages
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.ssd import SSD

BACKBONES = [VGG16, InceptionV2, InceptionV3, ResNet101, InceptionResNetV2]
NARROW = 1 / 16


def whole(extractor, side=None):
  """A backbone at width 1, ResNet-101 up to its last stage."""
  images = keras.Input((side, side, 3))
  if extractor is ResNet101:
    outputs = stages(images, Convolutions(1.0, 0.9, epsilon=1.001e-5), 5)
  else:
    outputs = extractor.feature_maps(images, 1.0, 0.9)
  return keras.Model(images, outputs)


def counted(model, kinds=("kernel", "bias", "gamma", "beta", "moving")):
  return sum(
    int(np.prod(variable.shape))
    for layer in model.layers
    for variable in layer.weights
    if layer.name not in ("fc6", "fc7", "block4_length")
    and any(kind in variable.name for kind in kinds)
  )


@pytest.mark.slow
def test_parameters_are_those_of_the_study():
  """1611.10012, table 2, each by the rule under which its number comes out."""
  assert counted(whole(VGG16)) == 14_714_688  # without fc6 and fc7
  assert counted(whole(InceptionV2)) == 10_173_112
  assert counted(whole(InceptionV3)) == 21_802_784
  assert counted(whole(InceptionResNetV2)) == 54_336_736
  # ResNet-101 without the biases that Keras' layers have
  residual = whole(ResNet101)
  assert counted(residual, ("kernel", "gamma", "beta", "moving")) == 42_605_504
  # MobileNet's convolutions, and a vector for each but the depthwise ones
  mobile = whole(MobileNetV1)
  vectors = sum(
    layer.beta.shape[0]
    for layer in mobile.layers
    if isinstance(layer, keras.layers.BatchNormalization) and "dw" not in layer.name
  )
  assert counted(mobile, ("kernel",)) + vectors == 3_191_072


@pytest.mark.slow
@pytest.mark.parametrize(
  ("extractor", "build", "names"),
  [
    (VGG16, keras.applications.VGG16, ["block5_conv3"]),
    (InceptionV3, keras.applications.InceptionV3, ["mixed2", "mixed7", "mixed10"]),
    (ResNet101, keras.applications.ResNet101, ["conv5_block3_out"]),
    (
      InceptionResNetV2,
      keras.applications.InceptionResNetV2,
      ["mixed_6a", "conv_7b_ac"],
    ),
  ],
)
def test_features_are_keras_own(extractor, build, names, tmp_path):
  reference = build(include_top=False, weights=None)
  generator = np.random.default_rng(0)
  for weight in reference.weights:
    if "moving_variance" in weight.name:
      weight.assign(generator.uniform(0.5, 2, weight.shape))
    elif len(weight.shape) == 1:
      weight.assign(generator.uniform(-0.2, 0.2, weight.shape))
  np.savez(tmp_path / "weights.npz", **named_weights(reference))
  ours = whole(extractor)
  load_weights(ours.layers, extractor, str(tmp_path / "weights.npz"), 1.0)
  # Of odd sizes VGG's pools keep the last row, as SSD wants, and Keras' do not.
  height = 112 if extractor is VGG16 else 107
  pixels = generator.uniform(0, 255, (1, height, 96, 3)).astype("float32")
  expected = keras.Model(
    reference.input, [reference.get_layer(name).output for name in names]
  )(keras.ops.convert_to_tensor(extractor.normalize(pixels)))
  outputs = ours(extractor.normalize(pixels))
  if extractor is VGG16:
    layer = ours.get_layer("block5_conv3")
    outputs = [keras.Model(ours.input, layer.output)(extractor.normalize(pixels))]
  elif isinstance(outputs, dict):
    outputs = outputs.values()
  else:
    outputs = [outputs]
  expected = expected if isinstance(expected, (list, tuple)) else [expected]
  for mine, theirs in zip(outputs, expected, strict=True):
    size = np.abs(theirs).max()
    np.testing.assert_allclose(mine, theirs, atol=1e-4 * size)


@pytest.mark.parametrize("extractor", BACKBONES)
def test_pixels_are_prepared_as_keras_prepares_them(extractor):
  module = {
    VGG16: keras.applications.vgg16,
    ResNet101: keras.applications.resnet,
    InceptionResNetV2: keras.applications.inception_resnet_v2,
  }.get(extractor, keras.applications.inception_v3)
  pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, 4, 3)).astype("float32")
  np.testing.assert_allclose(
    extractor.normalize(pixels), module.preprocess_input(pixels.copy()), atol=1e-4
  )


@pytest.mark.parametrize("extractor", BACKBONES)
def test_blocks_count_from_the_image_without_a_gap(extractor):
  images = keras.Input((None, None, 3))
  maps = extractor.feature_maps(images, NARROW, 0.9)
  model = keras.Model(images, maps)
  weighted = [layer for layer in model.layers if layer.weights]
  blocks = {extractor.block_of(layer.name) for layer in weighted} - {None}
  assert blocks == set(range(len(blocks)))
  order = [extractor.block_of(layer.name) for layer in weighted]
  firsts = [order.index(block) for block in sorted(blocks)]
  assert firsts == sorted(firsts)
  assert extractor.block_of("extra_2_1x1") is None
  assert extractor.block_of("predictor_0_box_codes") is None


@pytest.mark.parametrize(
  ("extractor", "sides", "num_anchors"),
  [
    (VGG16, (38, 19, 10, 5, 3, 2, 1), 7_332),
    (InceptionV2, (19, 10, 5, 3, 2, 1), 1_917),
    (InceptionV3, (35, 17, 8, 4, 2, 1), 5_919),
    (ResNet101, (19, 10, 5, 3, 2, 1), 1_917),
    (InceptionResNetV2, (17, 8, 4, 2, 1), 1_377),
  ],
)
def test_ssd_has_its_maps(extractor, sides, num_anchors):
  config = SSDConfig(feature_extractor=extractor, width=NARROW)
  model = SSD(config, 2, DetectorTrainingConfig(steps=100))
  cells = [side * side for side in sides]
  assert num_anchors == 3 * cells[0] + 6 * sum(cells[1:])
  assert model.anchors_yxyx_norm.shape == (num_anchors, 4)


@pytest.mark.slow
@pytest.mark.parametrize("extractor", BACKBONES)
def test_ssd_learns(extractor):
  config = SSDConfig(feature_extractor=extractor, width=NARROW, resolution_px=96)
  model = SSD(config, 2, DetectorTrainingConfig(steps=100, batch_size=2))
  generator = np.random.default_rng(0)
  images = generator.uniform(0, 255, (2, 96, 96, 3)).astype("float32")
  truth = {
    "boxes_yxyx_norm": np.array([[[0.1, 0.1, 0.6, 0.7]], [[0.3, 0.2, 0.9, 0.8]]], "f4"),
    "labels": np.array([[1], [2]], "int32"),
    "is_crowd": np.zeros((2, 1), "int32"),
    "index": np.arange(2),
  }
  model.compile(optimizer=keras.optimizers.Adam(3e-3), run_eagerly=True)
  losses = [float(model.train_on_batch(images, truth)[0]) for _ in range(4)]
  assert np.isfinite(losses).all()
  assert losses[-1] < losses[0]
