"""What came after the first nine codecs runs in both exports, and in streams."""

import importlib.util

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.exported_model import LIGHT_FACTS, read_light_facts
from hardmine.trainers.codec.cells.associative_lstm import AssociativeLSTMCell
from hardmine.trainers.codec.cells.feedforward import FeedforwardCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.exports.conversion import convert_codec
from hardmine.trainers.codec.exports.export import export_codec, serving_functions
from hardmine.trainers.codec.exports.light_export import write_light_form
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.running.light_network import LightNetwork
from hardmine.trainers.codec.streams import bitstream

pytestmark = pytest.mark.slow


class TwoCopies(AssociativeLSTMCell):
  copies = 2


ITERATIONS = 3
RUNTIMES = [
  name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)
]
RESIDUAL = {"cell": FeedforwardCell, "own_weights": ITERATIONS}
ONE_SHOT = {"cell": ConvLSTMCell, "reconstruction": "one_shot"}
KINDS = {
  "associative_primed": {"cell": TwoCopies, "priming": 2, "diffusion": 1},
  "fc_lstm": {**ONE_SHOT, "network": "fully_connected"},
  "conv_residual": {**RESIDUAL, "network": "convolutional"},
  "conv_lstm": {**ONE_SHOT, "network": "convolutional"},
}
FC_RESIDUAL = {**RESIDUAL, "network": "fully_connected"}
SIZES = ((1, 1), (33, 50))


def built(settings):
  """With a decoder that says something already."""
  config = CodecConfig(width=1 / 32, use_bias=True, **settings)
  codec = build_codec(config, ITERATIONS, seed=2)
  for weight in codec.decoder.head.trainable_weights:
    weight.assign(10 * weight)
  return codec


def photograph(height, width, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_light_form_says_what_tensorflow_does(kind, tmp_path):
  codec = built(KINDS[kind])
  write_light_form(codec, tmp_path)
  networks = {runtime: LightNetwork(tmp_path, runtime) for runtime in RUNTIMES}
  serving, depth = serving_functions(codec), codec.config.code_depth
  for height, width in SIZES:
    image = photograph(height, width)
    codes = serving.encode(image, np.int32(ITERATIONS))["codes"].numpy()
    assert codes.shape == (ITERATIONS, -(-height // 16), -(-width // 16), depth)
    pictures = serving.reconstruct(image, np.int32(ITERATIONS))["images"].numpy()
    decoded = serving.decode(codes, np.int32(height), np.int32(width))["image"]
    np.testing.assert_array_equal(decoded, pictures[-1])
    for runtime, network in networks.items():
      ours, gains = network.encode(image, ITERATIONS)
      # values next to zero may fall on either side of it
      assert np.mean(ours != codes) < 0.01, runtime
      ours = network.decode(codes, gains, height, width).astype(int)
      assert np.abs(ours - pictures[-1]).max() <= 1, runtime
  assert_reaches(tmp_path, depth)


def assert_reaches(folder, depth):
  """Codes are seen as far away as the facts say, and no further."""
  facts, network = read_light_facts(folder), LightNetwork(folder, "onnxruntime")
  codes = np.random.default_rng(1).integers(0, 2, (ITERATIONS, 2, 40, depth), np.uint8)
  changed, gains, place = codes.copy(), np.zeros(ITERATIONS), 19
  changed[:, :, place] ^= 1
  for t, reach in enumerate(facts["decode_reach_px"], start=1):
    one, other = (network.decode(c[:t], gains, 32, 640) for c in (codes, changed))
    columns = np.flatnonzero((one != other).any(axis=(0, 2)))
    assert columns[0] >= 16 * place - reach
    assert columns[-1] < 16 * (place + 1) + reach


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """An untrained codec of 2015 and its folder, exported and exported again."""
  codec = built(FC_RESIDUAL)
  folder = tmp_path_factory.mktemp("fc_residual")
  export_codec(codec, folder / "model", iterations=ITERATIONS)
  convert_codec(folder / "model", folder / "again")
  return codec, folder


@pytest.mark.parametrize("runtime", [*RUNTIMES, "tensorflow"])
def test_a_network_of_2015_goes_through_files(exported, runtime):
  keras_codec, folder = exported
  codec = Codec.load(folder / "again", runtime)
  assert (codec.code_depth, codec.max_iterations) == (16, ITERATIONS)
  image = photograph(48, 64)
  data = codec.compress(image, iterations=ITERATIONS)
  stream = bitstream.unpack(data)
  assert stream.header.code_depth == 16
  assert len(data) == 40 + ITERATIONS * (8 + 3 * 4 * 2)
  eager = np.asarray(keras_codec(image[np.newaxis] / np.float32(255) - np.float32(0.5)))
  pixels = np.clip(np.round((eager[:, 0] + 0.5) * 255), 0, 255)
  pictures = codec.reconstructions(image, ITERATIONS)
  for t in range(1, ITERATIONS + 1):
    decoded = codec.decompress(data, iterations=t)
    np.testing.assert_array_equal(decoded, pictures[t - 1])
    assert np.abs(decoded - pixels[t - 1]).max() <= 1
  with pytest.raises(ValueError, match="as many as the model tells apart"):
    codec.compress(image, iterations=ITERATIONS + 1)


def test_a_light_form_of_a_later_version_is_refused(exported):
  _, folder = exported
  facts = folder / "model" / LIGHT_FACTS
  assert '"format": 1' in facts.read_text()
  facts.write_text(facts.read_text().replace('"format": 1', '"format": 9'))
  with pytest.raises(ValueError, match=r"newer version.*format=9"):
    Codec.load(folder / "model", "onnxruntime")
