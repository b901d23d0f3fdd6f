"""MobileNet v1: Keras' own model of the same weights is the reference."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hardmine.trainers.detection.feature_extractors.extractor import load_weights
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1

WIDTH = 0.25


def backbone(width: float = WIDTH, side: int | None = None) -> keras.Model:
  images = keras.Input((side, side, 3))
  return keras.Model(images, MobileNetV1.feature_maps(images, width, 0.9))


@pytest.fixture(scope="module")
def keras_model():
  """Random weights, and statistics that are not the trivial ones."""
  model = keras.applications.MobileNet(
    alpha=WIDTH, include_top=False, weights=None, input_shape=(96, 96, 3)
  )
  generator = np.random.default_rng(0)
  for weight in model.weights:
    if "moving" in weight.name:
      weight.assign(generator.uniform(0.05, 0.3, weight.shape))
  return model


@pytest.fixture(scope="module")
def weights_path(keras_model, tmp_path_factory):
  path = tmp_path_factory.mktemp("weights") / "mobilenet.npz"
  arrays = {
    f"{layer.name}|{weight.name}": np.asarray(weight)
    for layer in keras_model.layers
    for weight in layer.weights
  }
  np.savez(path, **arrays)
  return path


def test_parameters_are_those_of_the_paper():
  assert backbone(1.0).count_params() == 3_228_864


@pytest.mark.parametrize(("side", "sizes"), [(300, (19, 10)), (600, (38, 19))])
def test_maps_have_their_strides(side, sizes):
  maps = backbone(side=side).output
  assert list(maps) == ["stride_16", "stride_32"]
  assert tuple(features.shape[1] for features in maps.values()) == sizes
  assert [features.shape[-1] for features in maps.values()] == [128, 256]


def test_features_are_keras_own(keras_model, weights_path):
  ours = backbone(side=96)
  assert load_weights(ours.layers, MobileNetV1, str(weights_path), WIDTH) == 135
  images = np.random.default_rng(1).uniform(-1, 1, (2, 96, 96, 3)).astype("float32")
  expected = keras.Model(
    keras_model.input,
    [keras_model.get_layer(f"conv_pw_{n}_relu").output for n in (11, 13)],
  )(images)
  for mine, theirs in zip(ours(images).values(), expected):
    np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_blocks_count_from_the_image():
  names = [layer.name for layer in backbone().layers]
  blocks = [b for b in map(MobileNetV1.block_of, names) if b is not None]
  assert blocks == sorted(blocks)
  assert set(blocks) == set(range(14))
  assert MobileNetV1.block_of("extra_2_1x1") is None
  assert MobileNetV1.block_of("conv_preds") is None


def test_imagenet_weights_are_those_that_keras_brings(keras_model, monkeypatch):
  monkeypatch.setattr(keras.applications, "MobileNet", lambda **_: keras_model)
  ours = backbone()
  assert load_weights(ours.layers, MobileNetV1, "imagenet", WIDTH) == 135
  np.testing.assert_array_equal(
    ours.get_layer("conv_pw_13").kernel, keras_model.get_layer("conv_pw_13").kernel
  )


def test_a_download_that_fails_says_what_else_to_do(monkeypatch):
  def offline(**_):
    raise Exception("URL fetch failure")

  monkeypatch.setattr(keras.applications, "MobileNet", offline)
  with pytest.raises(RuntimeError, match=r"URL fetch failure.*\.npz"):
    load_weights(backbone().layers, MobileNetV1, "imagenet", WIDTH)


def test_weights_of_another_width_are_refused(weights_path):
  with pytest.raises(ValueError, match="conv1/kernel of shape"):
    load_weights(backbone(0.5).layers, MobileNetV1, str(weights_path), 0.5)


def test_a_file_that_is_not_there_is_refused(tmp_path):
  with pytest.raises(ValueError, match="initial_weights"):
    load_weights(backbone().layers, MobileNetV1, str(tmp_path / "none.npz"), WIDTH)


def test_a_missing_layer_is_named(weights_path, tmp_path):
  with np.load(weights_path) as file:
    arrays = {name: file[name] for name in file.files if "conv_pw_7|" not in name}
  np.savez(tmp_path / "some.npz", **arrays)
  with pytest.raises(ValueError, match="conv_pw_7/kernel"):
    load_weights(backbone().layers, MobileNetV1, str(tmp_path / "some.npz"), WIDTH)


def test_published_weights_know_a_macaw(data_dir):
  """Kodak's photograph 23 shows two; class 88 of ImageNet is the macaw."""
  from hardmine.trainers.images import decode_rgb

  ours = backbone(0.75, 224)
  path = data_dir / "weights" / "mobilenet_v1_0.75_224.npz"
  load_weights(ours.layers, MobileNetV1, str(path), 0.75)
  pixels = decode_rgb((data_dir / "kodak" / "kodim23.png").read_bytes())
  square = pixels[:, 128:640].astype("float32")
  square = np.asarray(keras.ops.image.resize(square, (224, 224), antialias=True))
  features = ours(MobileNetV1.normalize(square[np.newaxis]))["stride_32"]
  with np.load(path) as file:
    kernel, bias = file["conv_preds|kernel"][0, 0], file["conv_preds|bias"]
  logits = np.asarray(features).mean(axis=(1, 2))[0] @ kernel + bias
  assert logits.argmax() == 88
