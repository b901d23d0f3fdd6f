"""The backbones of the study; Keras' own models are the reference."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.extractor import load_weights
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.keras_weights import named_weights
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from tests.trainers.detection.feature_extractors.keras_models import (
  NARROW,
  changed,
  joined_depths,
  randomize,
)

# Sides of the maps at 300 pixels.
SIDES = {
  VGG16: (38, 19, 10, 5, 3, 2, 1),
  InceptionV2: (19, 10, 5, 3, 2, 1),
  InceptionV3: (35, 17, 8, 4, 2, 1),
  ResNet101: (19, 10, 5, 3, 2, 1),
  InceptionResNetV2: (17, 8, 4, 2, 1),
}


def counted(extractor, kinds=("kernel", "bias", "gamma", "beta", "moving")):
  """Parameters of both stages at width 1, as 1611.10012 counts them in table 2."""
  images = keras.Input((None, None, 3))
  features = extractor.first_stage(images, 1.0, 0.9)
  model = keras.Model(images, extractor.second_stage(features, 1.0, 0.9))
  kernels_and_norms = sum(
    int(np.prod(variable.shape))
    for variable in model.weights
    if any(kind in variable.name for kind in kinds)
  )
  return kernels_and_norms, model


@pytest.mark.slow
def test_parameters_are_those_of_the_study():
  """1611.10012, table 2, each by the rule under which its number comes out."""
  assert counted(VGG16)[0] == 14_714_688
  assert counted(InceptionV2)[0] == 10_173_112
  assert counted(InceptionV3)[0] == 21_802_784
  assert counted(InceptionResNetV2)[0] == 54_336_736
  # ResNet-101 without the biases that Keras' layers have
  assert counted(ResNet101, ("kernel", "gamma", "beta", "moving"))[0] == 42_605_504
  # MobileNet's convolutions, and a vector for each but the depthwise ones
  kernels, mobile = counted(MobileNetV1, ("kernel",))
  vectors = sum(
    layer.beta.shape[0]
    for layer in mobile.layers
    if isinstance(layer, keras.layers.BatchNormalization) and "dw" not in layer.name
  )
  assert kernels + vectors == 3_191_072


@pytest.fixture(scope="module", params=SIDES)
def ssd(request):
  config = SSDConfig(feature_extractor=request.param, width=NARROW)
  return SSD(config, 2, DetectorTrainingConfig(steps=100, batch_size=2))


def test_ssd_has_its_maps(ssd):
  sides = SIDES[ssd.config.feature_extractor]
  num_anchors = 3 * sides[0] ** 2 + 6 * sum(side**2 for side in sides[1:])
  assert ssd.anchors_yxyx_norm.shape == (num_anchors, 4)


def test_blocks_count_from_the_image_without_a_gap(ssd):
  block_of = ssd.config.feature_extractor.block_of
  blocks = [block_of(layer.name) for layer in ssd.layers if layer.weights]
  found = set(blocks) - {None}
  assert found == set(range(len(found)))
  firsts = [blocks.index(block) for block in sorted(found)]
  assert firsts == sorted(firsts)
  assert block_of("extra_2_1x1") is None
  assert block_of("predictor_0_box_codes") is None


@pytest.mark.slow
def test_ssd_learns(ssd):
  side = ssd.config.resolution_px
  generator = np.random.default_rng(0)
  images = generator.uniform(0, 255, (2, side, side, 3)).astype("float32")
  truth = {
    "boxes_yxyx_norm": np.array([[[0.1, 0.1, 0.6, 0.7]], [[0.3, 0.2, 0.9, 0.8]]], "f4"),
    "labels": np.array([[1], [2]], "int32"),
    "is_crowd": np.zeros((2, 1), "int32"),
    "index": np.arange(2),
  }
  ssd.compile(optimizer=keras.optimizers.Adam(3e-3), run_eagerly=True)
  losses = [float(ssd.train_on_batch(images, truth)[0]) for _ in range(3)]
  assert np.isfinite(losses).all()
  assert losses[-1] < losses[0]


@pytest.mark.parametrize(
  ("extractor", "build", "changes", "names"),
  [
    (VGG16, keras.applications.VGG16, lambda _: {}, ["block4_conv3", "block5_conv3"]),
    (
      InceptionV3,
      keras.applications.InceptionV3,
      lambda _: {},
      ["mixed2", "mixed7", "mixed10"],
    ),
    (ResNet101, keras.applications.ResNet101, lambda _: {}, ["conv4_block23_out"]),
    (
      InceptionResNetV2,
      keras.applications.InceptionResNetV2,
      joined_depths,
      ["mixed_6a", "conv_7b_ac"],
    ),
  ],
)
def test_maps_of_ssd_are_keras_own(extractor, build, changes, names, tmp_path):
  """Also where sizes are odd and strided layers are not padded."""
  reference = changed(build, NARROW, changes)
  randomize(reference)
  np.savez(tmp_path / "weights.npz", **named_weights(reference))
  images = keras.Input((None, None, 3))
  maps = extractor.feature_maps(images, NARROW, 0.9)
  ours = keras.Model(images, maps)
  load_weights(ours.layers, extractor, str(tmp_path / "weights.npz"), NARROW)
  # Of odd sizes VGG's pools keep the last row, as SSD wants, and Keras' do not.
  height = 112 if extractor is VGG16 else 107
  pixels = np.random.default_rng(1).uniform(-1, 1, (1, height, 96, 3)).astype("float32")
  found = list(maps.values())
  if extractor is VGG16:  # what SSD adds before both maps is not Keras'
    found = [ours.get_layer(name).output for name in names]
  mine = keras.Model(images, found)(pixels)
  theirs = [reference.get_layer(name).output for name in names]
  theirs = keras.Model(reference.input, theirs)(pixels)
  for one, other in zip(mine, theirs, strict=True):
    size = np.abs(other).max()
    assert size > 0
    np.testing.assert_allclose(one, other, atol=1e-4 * size)
