"""slim's classifiers into our backbones: the same features, or a refusal."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2,
)
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.slim_resnet_101 import SlimResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.tf1_checkpoints.backbones import load_backbone
from hardmine.trainers.detection.tf1_checkpoints.names import family_of
from tests.trainers.detection.tf1_checkpoints.writing import (
  backbone_values,
  randomize,
  write,
)

NARROW = 1 / 16
SIDE = 96
FAMILIES = [
  MobileNetV1,
  InceptionV2,
  InceptionV3,
  InceptionResNetV2,
  SlimResNet101,
  VGG16,
]


SLOW = (InceptionV2, InceptionV3, InceptionResNetV2, SlimResNet101)


@functools.cache
def backbone(extractor, number=0):
  """A narrow backbone with weights of its own."""
  del number  # another model for every one
  images = keras.Input((SIDE, SIDE, 3))
  model = keras.Model(images, extractor.feature_maps(images, NARROW, 0.9))
  return model


def features(model):
  pixels = np.random.default_rng(7).uniform(-1, 1, (1, SIDE, SIDE, 3))
  return [np.asarray(one) for one in model(pixels.astype("float32")).values()]


def assert_same(found, wanted):
  for one, other in zip(found, wanted, strict=True):
    np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
  "extractor",
  [
    pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else [], id=one.__name__)
    for one in FAMILIES
  ],
)
def test_what_slim_holds_comes_back(tmp_path, extractor):
  theirs, ours = backbone(extractor), backbone(extractor, 1)
  randomize(theirs, seed=1)
  values = backbone_values(theirs.layers, extractor)
  if extractor is VGG16:  # slim's sees RGB
    name = "vgg_16/conv1/conv1_1/weights"
    values[name] = values[name][:, :, ::-1]
    for layer in theirs.layers:  # which belong to the detector
      if layer.name in ("fc6", "fc7", "block4_length"):
        ours.get_layer(layer.name).set_weights(layer.get_weights())
  if extractor is SlimResNet101:
    name = "resnet_v1_101/conv1/weights"
    values[name] = values[name][:, :, ::-1]
  write(tmp_path / "model.ckpt", {**values, "global_step": np.int64(7)})
  report = load_backbone(ours.layers, extractor, str(tmp_path / "model.ckpt"))
  assert_same(features(ours), features(theirs))
  assert sorted(report.matched) == sorted(values)
  assert (report.missing, report.mismatched, report.unused) == ((), (), ())
  assert report.ignored == {"global_step": 1}


def test_the_names_are_those_of_slims_code():
  """Oddities of inception_v3.py, inception_resnet_v2.py and others, by place."""
  at = {
    extractor: family_of(extractor).scopes_of
    for extractor in (*FAMILIES, ReleasedInceptionV2)
  }
  v3, residual = at[InceptionV3], at[InceptionResNetV2]
  assert v3("conv2d") == ["Conv2d_1a_3x3"]
  assert v3("conv2d_13") == ["Mixed_5c/Branch_1/Conv2d_0b_1x1"]
  assert v3("conv2d_14") == ["Mixed_5c/Branch_1/Conv_1_0c_5x5"]
  assert v3("conv2d_26") == ["Mixed_6a/Branch_0/Conv2d_1a_1x1"]
  assert v3("conv2d_79") == ["Mixed_7b/Branch_1/Conv2d_0b_3x1"]
  assert v3("conv2d_88") == ["Mixed_7c/Branch_1/Conv2d_0c_3x1"]
  assert v3("conv2d_93") == ["Mixed_7c/Branch_3/Conv2d_0b_1x1"]
  assert v3("conv2d_94") == []
  assert residual("conv2d_12") == ["Repeat/block35_1/Branch_0/Conv2d_1x1"]
  assert residual("block17_20_conv") == ["Repeat_1/block17_20/Conv2d_1x1"]
  assert residual("conv2d_163") == [
    "Repeat_2/block8_1/Branch_0/Conv2d_1x1",
    "Repeat/block8_1/Branch_0/Conv2d_1x1",  # of a detector's second stage
  ]
  assert residual("block8_10_conv") == ["Block8/Conv2d_1x1"]
  assert residual("conv2d_202") == ["Block8/Branch_1/Conv2d_0c_3x1"]
  assert residual("conv2d_203") == []
  two = at[InceptionV2]
  assert two("Mixed_4a_Branch_1_Conv2d_0c_3x3") == ["Mixed_4a/Branch_1/Conv2d_1a_3x3"]
  assert two("Mixed_4a_Branch_1_Conv2d_0b_3x3") == ["Mixed_4a/Branch_1/Conv2d_0b_3x3"]
  assert two("Mixed_4b_Branch_2_Conv2d_0c_3x3") == ["Mixed_4b/Branch_2/Conv2d_0c_3x3"]
  assert at[SlimResNet101]("conv4_block23_3_conv") == [
    "block3/unit_23/bottleneck_v1/conv3"
  ]
  assert at[SlimResNet101]("conv2_block1_0_conv") == [
    "block1/unit_1/bottleneck_v1/shortcut"
  ]
  assert at[MobileNetV1]("conv_dw_13") == ["Conv2d_13_depthwise"]
  assert at[VGG16]("block5_conv3") == ["conv5/conv5_3"]


@pytest.mark.slow
def test_a_factor_and_a_norm_that_we_lack_go_into_the_kernels(tmp_path):
  """A released detector's Inception V2 into the classifier's form, and back."""
  theirs, ours = backbone(ReleasedInceptionV2), backbone(InceptionV2, 2)
  randomize(theirs, seed=3)
  prefix = "FirstStageFeatureExtractor/"
  write(tmp_path / "m", backbone_values(theirs.layers, ReleasedInceptionV2, prefix))
  report = load_backbone(ours.layers, InceptionV2, str(tmp_path / "m"))
  assert_same(features(ours), features(theirs))
  assert any("gamma" in note for note in report.notes)

  randomize(ours, seed=4)
  write(tmp_path / "n", backbone_values(ours.layers, InceptionV2))
  load_backbone(theirs.layers, ReleasedInceptionV2, str(tmp_path / "n"))
  assert_same(features(theirs), features(ours))


def slim_resnet(values, images):
  """resnet_v1_101 up to block3 at an output stride of 16, as resnet_v1.py has it."""

  def conv(x, scope, kernel=1, strides=1, relu=True):
    if strides > 1:  # conv2d_same
      before = (kernel - 1) // 2
      x = tf.pad(x, [[0, 0], [before] * 2, [before] * 2, [0, 0]])
    weights = values[f"resnet_v1_101/{scope}/weights"]
    x = tf.nn.conv2d(x, weights, strides, "VALID" if strides > 1 else "SAME")
    mean, variance, beta, gamma = (
      values[f"resnet_v1_101/{scope}/BatchNorm/{name}"]
      for name in ("moving_mean", "moving_variance", "beta", "gamma")
    )
    x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)
    return tf.nn.relu(x) if relu else x

  x = tf.nn.max_pool2d(conv(images, "conv1", 7, 2), 3, 2, "SAME")
  for block, units, strided in ((1, 3, True), (2, 4, True), (3, 23, False)):
    for unit in range(1, units + 1):
      scope = f"block{block}/unit_{unit}/bottleneck_v1"
      strides = 2 if strided and unit == units else 1
      shortcut = tf.nn.max_pool2d(x, 1, strides, "SAME")
      if unit == 1:
        shortcut = conv(x, f"{scope}/shortcut", relu=False)
      y = conv(conv(x, f"{scope}/conv1"), f"{scope}/conv2", 3, strides)
      x = tf.nn.relu(shortcut + conv(y, f"{scope}/conv3", relu=False))
  return x


@pytest.mark.slow
def test_slims_resnet_is_slims(tmp_path):
  theirs, ours = backbone(SlimResNet101), backbone(SlimResNet101, 1)
  randomize(theirs, seed=5)
  values = backbone_values(theirs.layers, SlimResNet101)
  write(tmp_path / "m", values)
  load_backbone(ours.layers, SlimResNet101, str(tmp_path / "m"))
  pixels = np.random.default_rng(1).uniform(0, 255, (1, 90, 96, 3)).astype("float32")
  rgb = pixels - np.array([123.68, 116.779, 103.939], "float32")
  images = keras.Input((90, 96, 3))
  again = SlimResNet101.first_stage(images, NARROW, 0.9)
  model = keras.Model(images, again)
  model.set_weights(ours.get_weights())
  found = np.asarray(model(SlimResNet101.normalize(pixels)))
  wanted = np.asarray(slim_resnet(values, rgb))
  np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * wanted.max())


def test_keras_resnet_refuses_what_would_fit_and_be_wrong():
  with pytest.raises(ValueError, match=r"SlimResNet101 .* strides elsewhere"):
    load_backbone([], ResNet101, "resnet_v1_101.ckpt")


@pytest.fixture
def mobile(tmp_path):
  model = backbone(MobileNetV1)
  randomize(model, seed=6)
  return model, backbone_values(model.layers, MobileNetV1), str(tmp_path / "m.ckpt")


def kept(ours, path, match):
  """A refusal in one line that names the faults, and nothing loaded."""
  before = ours.get_weights()
  with pytest.raises(ValueError, match=match) as error:
    load_backbone(ours.layers, MobileNetV1, path)
  assert "\n" not in str(error.value)
  for one, other in zip(ours.get_weights(), before):
    np.testing.assert_array_equal(one, other)


def test_a_checkpoint_that_lacks_a_layer_is_not_loaded_by_halves(mobile):
  _, values, path = mobile
  for name in [name for name in values if "Conv2d_5_pointwise" in name]:
    del values[name]
  write(path, values)
  kept(backbone(MobileNetV1, 1), path, r"missing .*conv_pw_5 .*Conv2d_5_pointwise")


def test_a_norm_without_its_mean_is_not_loaded(mobile):
  _, values, path = mobile
  del values["MobilenetV1/Conv2d_3_depthwise/BatchNorm/moving_mean"]
  write(path, values)
  kept(backbone(MobileNetV1, 1), path, r"1 missing .*conv_dw_3 .*moving_mean")


def test_another_width_is_not_loaded(mobile):
  _, values, path = mobile
  name = "MobilenetV1/Conv2d_0/weights"
  values[name] = np.zeros((3, 3, 3, 32), "float32")
  write(path, values)
  kept(backbone(MobileNetV1, 1), path, r"1 mismatched .*conv1 .*32")


def test_another_family_is_not_loaded(tmp_path):
  model = backbone(InceptionV2)
  write(tmp_path / "m", backbone_values(model.layers, InceptionV2))
  kept(backbone(MobileNetV1, 1), str(tmp_path / "m"), "missing")


def test_moving_averages_are_taken_when_asked(mobile):
  model, values, path = mobile
  averages = {f"{name}/ExponentialMovingAverage": values[name] for name in values}
  others = {name: np.zeros_like(value) for name, value in values.items()}
  slots = {f"{name}/RMSProp": others[name] for name in list(values)[:3]}
  write(path, {**others, **averages, **slots, "global_step": np.int64(9)})
  ours = backbone(MobileNetV1, 1)
  report = load_backbone(ours.layers, MobileNetV1, path, averages=True)
  assert_same(features(ours), features(model))
  assert report.ignored == {
    "ExponentialMovingAverage": len(values),
    "RMSProp": 3,
    "global_step": 1,
  }
  load_backbone(ours.layers, MobileNetV1, path)
  assert not ours.get_layer("conv1").kernel.numpy().any()


def test_the_report_counts_what_was_not_used(mobile):
  model, values, path = mobile
  values["MobilenetV1/Logits/Conv2d_1c_1x1/weights"] = np.zeros((1, 1, 64, 9), "f4")
  write(path, values)
  report = load_backbone(model.layers, MobileNetV1, path)
  assert report.unused == ("MobilenetV1/Logits/Conv2d_1c_1x1/weights",)
  (first, second) = report.lines()
  assert first.endswith(f"{len(values) - 1} variables matched")
  assert second == f"  unused: 1, {report.unused[0]}"
