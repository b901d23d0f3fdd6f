"""Bits where they are worth most, within a size or up to a quality."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardmine.trainers.codec.running.adaptive import heights_at, smoothed
from hardmine.trainers.codec.running.rate_control import MAX_LEVEL, Target
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.metrics.block_errors import BlockErrors
from hardmine.trainers.metrics.ms_ssim import MsSsim
from hardmine.trainers.photo_metadata.metadata import Metadata
from tests.trainers.codec.running.bit_planes import ITERATIONS, Deflate, codec, picture


def half_plain():
  """A picture of which the left half is one colour, which one bit shows."""
  image = picture(12, 16)
  image[:, :128] = 128
  return image


IMAGE = half_plain()


@pytest.fixture(params=[None, Deflate()], ids=["raw", "coded"])
def coder(request):
  return request.param


def test_bits_go_where_the_picture_is_complex(coder):
  model, _ = codec(coder)
  score = MsSsim(IMAGE).score
  even = model.compress(IMAGE, iterations=5)
  quality = score(model.decompress(even))
  found = model.compress_to(IMAGE, Target(ms_ssim=quality), adaptive=True)
  assert found.is_met
  assert found.ms_ssim >= quality
  assert len(found.data) <= len(even)
  if coder is not None:  # to deflate equal bits are none, so that a map costs more
    assert found.data == even
    return
  assert len(found.data) < 0.85 * len(even)
  heights = bitstream.unpack(found.data).heights
  assert heights is not None
  heights = heights.reshape(12, 16)
  assert heights[:, :6].mean() < 0.6 * heights[:, 10:].mean()


def test_what_the_encoder_saw_is_what_is_decoded(coder):
  model, _ = codec(coder)
  for level in (0, 7, 20, MAX_LEVEL):
    found = model.compress_to(IMAGE, Target(level=level), adaptive=True)
    np.testing.assert_array_equal(found.picture, model.decompress(found.data))
    assert found.level == level
    header = bitstream.read_header(found.data)
    assert header.iterations == found.iterations <= ITERATIONS
    shorter = model.decompress(found.data, iterations=1)
    assert shorter.shape == IMAGE.shape


def test_finer_levels_are_larger_and_better():
  model, _ = codec()
  encoder, score = model.adaptive_encoder(IMAGE), MsSsim(IMAGE).score
  found = [encoder.to(Target(level=level)) for level in range(0, MAX_LEVEL + 1, 8)]
  sizes = [len(one.data) for one in found]
  scores = [score(one.picture) for one in found]
  assert sizes == sorted(sizes)
  assert sizes[-1] > 2 * sizes[0]
  assert scores == sorted(scores)
  coarsest = encoder.to(Target(level=0)).data
  assert coarsest == model.compress(IMAGE, iterations=1)


def test_a_size_is_met_more_closely_than_by_whole_iterations(coder):
  model, _ = codec(coder)
  sizes = [len(model.compress(IMAGE, iterations=n)) for n in (1, 2, 3)]
  for most in (sizes[0], sizes[1] + 300, sizes[2] + 500):
    found = model.compress_to(IMAGE, Target(max_bytes=most), adaptive=True)
    assert len(found.data) <= most
    bpp = 8 * most / (IMAGE.shape[0] * IMAGE.shape[1])
    assert model.compress(IMAGE, bpp=bpp, adaptive=True) == found.data
  with pytest.raises(ValueError, match=f"at least {sizes[0]:,} bytes"):
    model.compress(IMAGE, max_bytes=sizes[0] - 1, adaptive=True)


def test_tiles_have_maps_of_their_own(coder):
  model, _ = codec(coder)
  splitting = model.needs.splitting
  small = dataclasses.replace(
    splitting,
    max_whole_px=64 * 64,
    tiling=dataclasses.replace(splitting.tiling, tile_px=96, overlap_px=32),
  )
  model.needs = dataclasses.replace(model.needs, splitting=small)
  found = model.compress_to(IMAGE, Target(level=12), adaptive=True)
  assert bitstream.read_header(found.data).tiles.num_tiles > 1
  np.testing.assert_array_equal(found.picture, model.decompress(found.data))
  part = bitstream.cut(found.data, 2)
  np.testing.assert_array_equal(
    model.decompress(part), model.decompress(found.data, iterations=2)
  )


def test_what_goes_along_goes_along():
  model, _ = codec()
  image = np.dstack((IMAGE, np.tile(np.arange(256, dtype=np.uint8), (192, 1))))
  data = model.compress(image, metadata=Metadata(xmp=b"<a/>"), adaptive=True)
  assert bitstream.read_header(data).side == {"height_map", "alpha", "metadata"}
  np.testing.assert_array_equal(model.decompress(data)[..., 3], image[..., 3])


def test_a_quality_beyond_reach_is_said_to_be():
  model, _ = codec(iterations=3)
  found = model.compress_to(IMAGE, Target(ms_ssim=1.0), adaptive=True)
  assert not found.is_met
  assert found.level == MAX_LEVEL
  assert found.iterations <= 3


def test_what_makes_no_sense_is_refused():
  model, network = codec()
  with pytest.raises(ValueError, match=r"beside adaptive.*iterations=3"):
    model.compress(IMAGE, iterations=3, adaptive=True)
  with pytest.raises(ValueError, match="adaptive beside a level"):
    model.compress_to(IMAGE, Target(level=3))
  with pytest.raises(ValueError, match="level of 0 to"):
    Target(level=MAX_LEVEL + 1)
  network.takes_heights = False
  with pytest.raises(ValueError, match=r"onnxruntime or openvino.*models convert"):
    model.compress(IMAGE, adaptive=True)


def test_tiny_pictures_have_maps_too():
  model, _ = codec()
  for size in ((1, 1), (1, 67), (67, 1), (17, 33)):
    image = picture(5, 5)[: size[0], : size[1]]
    data = model.compress(image, adaptive=True)
    assert model.decompress(data).shape == image.shape


def test_no_position_is_far_below_its_neighbours():
  rng = np.random.default_rng(0)
  heights = smoothed(np.where(rng.random((20, 30)) < 0.05, 16, 1).astype(np.uint8))
  assert heights.dtype == np.uint8
  rows, columns = heights.shape
  around = np.pad(heights, 1)
  for y in range(3):
    for x in range(3):
      assert (2 * heights >= around[y : y + rows, x : x + columns]).all()
  assert set(np.unique(heights)) <= {1, 2, 4, 8, 16}


def test_heights_follow_what_iterations_are_worth():
  errors = np.zeros((4, 2, 1), np.float32)
  errors[:, 0, 0] = 0.5, 0.2, 0.1, 0.05
  errors[:, 1, 0] = 0.01, 0.009, 0.009, 0.009
  coarse, fine = heights_at(errors, 1), heights_at(errors, 30)
  assert coarse[:, 0].tolist() == [2, 1]
  assert fine[:, 0].tolist() == [4, 2]
  assert (heights_at(errors, 0) == 1).all()


def test_errors_by_block_add_up_to_ms_ssims():
  """To first order; and they lie where the picture differs."""
  rng = np.random.default_rng(0)
  image = np.kron(rng.integers(60, 190, (24, 36, 3)), np.ones((16, 16, 1)))
  image = (image + rng.integers(0, 20, image.shape)).astype(np.uint8)
  errors = BlockErrors(image)
  assert (errors.of(image) == 0).all()
  for noise in (3, 12):
    other = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    whole = 1 - MsSsim(image).score(other)
    assert errors.of(other).mean() == pytest.approx(whole, rel=0.15)
  touched = image.copy()
  touched[160:176, 320:336] ^= 31
  found = errors.of(touched)
  assert np.unravel_index(found.argmax(), found.shape) == (10, 20)
  assert found[0, 0] == 0
  assert BlockErrors(image[:5, :40], 32).of(image[:5, :40]).shape == (2, 4)
