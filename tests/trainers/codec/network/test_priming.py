"""Priming and diffusion: passes that leave nothing but states."""

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.trainers.codec.cells.feedforward import FeedforwardCell
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.exports.export import serving_functions
from hardmine.trainers.codec.network.model import build_codec, model_id

SMALL = {"cell": ConvGRUCell, "width": 1 / 16}


def random_images(*shape, seed=0):
  return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype("float32")


def test_no_passes_are_no_priming():
  without = CodecConfig(**SMALL)
  zero = CodecConfig(**SMALL, priming=0, diffusion=0)
  assert zero.to_json() == without.to_json()
  images = random_images(1, 32, 32, 3)
  codecs = [build_codec(config, 2) for config in (zero, without)]
  np.testing.assert_array_equal(*(codec(images) for codec in codecs))
  assert model_id(codecs[0]) == model_id(codecs[1])


@pytest.mark.parametrize("settings", [{"priming": 3}, {"priming": 1, "diffusion": 2}])
def test_passes_are_repeated_steps_without_their_codes_and_images(settings):
  codec = build_codec(CodecConfig(**SMALL, **settings), 2, seed=1)
  images, no_gain = random_images(1, 32, 32, 3), np.zeros(1, "int32")
  encoder, decoder = codec.encoder_states(1, 2, 2), codec.decoder_states(1, 2, 2)
  for t, estimate in enumerate(codec(images)):
    passes = 1 + settings.get("diffusion" if t else "priming", 0)
    for _ in range(passes):
      codes, _, encoder = codec.encode_step(images, encoder, decoder)
    for _ in range(passes):
      before = decoder
      decoder = codec.decode_step(codes, no_gain, before)
      # one image an iteration is added up, and one iteration counted
      decoder = [decoder[0], *before[1:]]
    decoder = codec.decode_step(codes, no_gain, before)
    np.testing.assert_allclose(decoder[1], estimate, atol=1e-5)
    assert int(decoder[3]) == t + 1


def test_priming_changes_pictures_only_where_there_are_states():
  images = random_images(1, 32, 32, 3)
  for cell, changes in ((ConvGRUCell, True), (FeedforwardCell, False)):
    plain, primed = (
      build_codec(CodecConfig(cell=cell, width=1 / 16, priming=k), 2) for k in (0, 2)
    )
    assert changes == (not np.array_equal(plain(images), primed(images)))


def test_the_exported_graph_primes_as_training_does():
  config = CodecConfig(**SMALL, priming=2, diffusion=1)
  codec = build_codec(config, 3, seed=3)
  image = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype("uint8")
  serving = serving_functions(codec)
  graph = serving.reconstruct(image, np.int32(3))["images"].numpy()
  eager = np.asarray(codec(image[np.newaxis] / np.float32(255) - np.float32(0.5)))
  pixels = np.clip(np.round((eager[:, 0] + 0.5) * 255), 0, 255)
  assert np.abs(pixels - graph).max() <= 1
  codes = serving.encode(image, np.int32(3))["codes"]
  decoded = serving.decode(codes, np.int32(32), np.int32(48))["image"]
  np.testing.assert_array_equal(decoded, graph[-1])
