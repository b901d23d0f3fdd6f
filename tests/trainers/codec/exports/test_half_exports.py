"""Weights that float16 holds are stored so in both forms of a codec, without loss."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.exports.conversion import convert_codec
from hardmine.trainers.codec.exports.export import export_codec, serving_functions
from hardmine.trainers.codec.network.model import build_codec, codec_weights, model_id
from hardmine.trainers.codec.network.weights import load_weights

ITERATIONS = 3
CONFIG = CodecConfig(
  cell=ConvGRUCell,
  width=1 / 16,
  use_bias=True,
  sent_gain=True,
  clock=ITERATIONS,
  output_activation="linear",
)
IMAGE = np.random.default_rng(0).integers(0, 256, (49, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def rounded(tmp_path_factory):
  """A codec whose weights were rounded once, and its export."""
  codec = build_codec(CONFIG, ITERATIONS, seed=2)
  for weight in codec.trainable_weights:
    weight.assign(np.asarray(weight).astype("float16").astype("float32"))
  folder = tmp_path_factory.mktemp("rounded") / "model"
  export_codec(codec, folder)
  return codec, folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """One whose weights need all their bits, and its export."""
  codec = build_codec(CONFIG, ITERATIONS, seed=2)
  folder = tmp_path_factory.mktemp("whole") / "model"
  export_codec(codec, folder)
  return codec, folder


def size(folder, pattern):
  return sum(path.stat().st_size for path in folder.glob(pattern))


def test_both_forms_take_half_the_room(rounded, whole):
  num_weights = sum(weight.size for weight in codec_weights(rounded[0]))
  data = "variables/variables.data*"
  assert size(whole[1], data) > 4 * num_weights
  assert size(rounded[1], data) < 2.5 * num_weights
  graphs = "assets.extra/light/*.onnx"
  assert size(rounded[1], graphs) < 0.7 * size(whole[1], graphs)


def test_the_saved_model_computes_what_the_codec_does(rounded):
  codec, folder = rounded
  loaded = Codec.load(folder, "tensorflow")
  assert loaded.model_id == model_id(codec)
  theirs = serving_functions(codec)
  answer = theirs.encode(IMAGE, np.int32(ITERATIONS))
  codes, gains = loaded.encode_codes(IMAGE, ITERATIONS)
  np.testing.assert_array_equal(codes, answer["codes"])
  np.testing.assert_array_equal(gains, answer["gains"])
  picture = theirs.decode(codes, *map(np.int32, IMAGE.shape[:2]), gains)["image"]
  np.testing.assert_array_equal(
    loaded.decode_codes(codes, gains, *IMAGE.shape[:2]), picture
  )


@pytest.mark.parametrize("kind", ["rounded", "whole"])
def test_a_training_begins_with_its_weights(request, kind):
  codec, folder = request.getfixturevalue(kind)
  ours = build_codec(CONFIG, ITERATIONS, seed=5)
  load_weights(folder, ours)
  assert model_id(ours) == model_id(codec)


def test_it_is_converted_as_any_other(rounded, tmp_path):
  codec, folder = rounded
  convert_codec(folder, tmp_path / "again")
  assert Codec.load(tmp_path / "again").model_id == model_id(codec)
