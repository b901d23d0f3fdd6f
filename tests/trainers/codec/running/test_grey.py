"""Pictures without colour come back without colour."""

import numpy as np
import pytest

from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.grey import is_grey, made_grey
from hardmine.trainers.codec.running.rate_control import Target
from hardmine.trainers.codec.streams import bitstream, stream_header
from tests.trainers.codec.running.bit_planes import MODEL_ID, BitPlanes, picture


class Tinted(BitPlanes):
  """Adds a colour to whatever it decodes, as a learned network does."""

  def decode(self, codes, gains, height_px, width_px, heights=None):
    image = super().decode(codes, gains, height_px, width_px, heights)
    return np.clip(image.astype(int) + np.array([9, 0, -6]), 0, 255).astype(np.uint8)


@pytest.fixture
def codec():
  config = {"reconstruction": "additive"}
  return Codec(Tinted(), {"model_id": MODEL_ID, "config": config, "iterations": 8})


GREY = np.repeat(picture(3, 5)[..., :1], 3, axis=2)


def test_grey_is_the_rounded_mean_and_stays_what_it_is():
  every = np.random.default_rng(0).integers(0, 256, (2, 50, 60, 3), np.uint8)
  grey = made_grey(every)
  np.testing.assert_array_equal(grey[..., 0], np.floor(every.mean(-1) + 0.5))
  assert is_grey(grey[0])
  np.testing.assert_array_equal(made_grey(grey), grey)


def test_one_pixel_of_colour_is_colour():
  almost = GREY.copy()
  almost[-1, -1, 2] ^= 1
  assert is_grey(GREY)
  assert not is_grey(almost)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("goal", [{}, {"ms_ssim": 0.5}, {"max_bytes": 300}], ids=str)
def test_it_comes_back_grey(codec, adaptive, goal):
  found = codec.compress_to(GREY, Target(**goal), adaptive=adaptive)
  assert bitstream.read_header(found.data).grey
  for iterations in range(1, found.iterations + 1):
    assert is_grey(codec.decompress(found.data, iterations=iterations))
  if found.picture is not None:
    np.testing.assert_array_equal(found.picture, codec.decompress(found.data))


def test_what_is_judged_is_what_is_decoded(codec):
  data = codec.compress(GREY, iterations=3)
  seen = codec.reconstructions(GREY, 3)
  for iterations, one in enumerate(seen, 1):
    decoded = codec.decompress(data, iterations=iterations)
    np.testing.assert_array_equal(one, decoded)


def test_a_cut_stream_stays_grey_and_transparency_beside_it(codec):
  alpha = np.arange(GREY.shape[0] * GREY.shape[1], dtype=np.uint8)
  image = np.dstack([GREY, alpha.reshape(GREY.shape[:2])])
  data = bitstream.cut(codec.compress(image, iterations=4), 2)
  decoded = codec.decompress(data)
  assert is_grey(decoded[..., :3])
  np.testing.assert_array_equal(decoded[..., 3], image[..., 3])


def test_a_picture_with_colour_pays_nothing_and_keeps_it(codec):
  image = picture(3, 5)
  header = bitstream.read_header(codec.compress(image, iterations=2))
  assert not header.grey
  assert header.version == stream_header.VERSION
  assert not is_grey(codec.decompress(codec.compress(image, iterations=2)))
