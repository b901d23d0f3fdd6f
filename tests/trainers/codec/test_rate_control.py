"""Rates that are kept, said and not overspent, with raw bits and with coded ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardmine.trainers.codec import bitstream
from hardmine.trainers.codec.rate_control import Target
from hardmine.trainers.metrics.ms_ssim import MsSsim
from hardmine.trainers.photo_metadata.metadata import Metadata
from tests.trainers.codec.bit_planes import ITERATIONS, Deflate, codec, picture

IMAGE = picture(12, 11, height_px=187, width_px=170)
METADATA = Metadata(exif=b"II*\0" + bytes(range(200)))
CODERS = (None, Deflate())


@pytest.fixture(params=CODERS, ids=["raw", "coded"])
def coder(request):
  return request.param


def sizes(coder, **beside):
  model, _ = codec(coder)
  return [
    len(model.compress(IMAGE, iterations=n, **beside)) for n in range(1, ITERATIONS + 1)
  ]


@pytest.mark.parametrize("beside", [{}, {"metadata": METADATA}], ids=["bare", "beside"])
def test_a_size_is_kept_and_one_more_iteration_would_break_it(coder, beside):
  model, _ = codec(coder)
  files = sizes(coder, **beside)
  for index, size in enumerate(files):
    for most in (size, files[index + 1] - 1 if index + 1 < ITERATIONS else size + 1000):
      found = model.compress_to(IMAGE, Target(max_bytes=most), **beside)
      assert found.iterations == index + 1
      assert found.data == model.compress(IMAGE, iterations=index + 1, **beside)
      assert len(found.data) <= most
      if found.next_bytes is not None:
        assert found.next_bytes == files[index + 1] > most
      bpp = 8 * most / (187 * 170)
      assert model.compress(IMAGE, bpp=bpp, **beside) == found.data


def test_the_smallest_file_is_named(coder):
  model, _ = codec(coder)
  least = sizes(coder, metadata=METADATA)[0]
  with pytest.raises(ValueError, match=f"at least {least:,} bytes.*metadata of"):
    model.compress(IMAGE, max_bytes=least - 1, metadata=METADATA)
  with pytest.raises(ValueError, match=r"at least 0.[0-9]+ bits per pixel"):
    model.compress(IMAGE, bpp=0.001)


def test_raw_bits_are_encoded_as_often_as_they_are_needed():
  model, network = codec()
  model.compress(IMAGE, max_bytes=sizes(None)[2])
  assert network.num_encoded == 3


def test_a_quality_is_reached_by_the_first_iteration_that_does(coder):
  model, network = codec(coder)
  scores = [MsSsim(IMAGE).score(one) for one in model.reconstructions(IMAGE, 8)]
  assert scores == sorted(scores)
  assert scores[-1] == 1
  for index, score in enumerate(scores):
    network.num_encoded = 0
    found = model.compress_to(IMAGE, Target(ms_ssim=score))
    assert (found.iterations, found.ms_ssim) == (index + 1, score)
    assert found.data == model.compress(IMAGE, iterations=index + 1)
    assert network.num_encoded == 2 * (index + 1)  # the second of `compress`


def test_a_quality_beyond_the_iterations_that_help_is_said_to_be(coder):
  model, _ = codec(coder, iterations=3)
  found = model.compress_to(IMAGE, Target(ms_ssim=1.0))
  assert not found.is_met
  assert found.iterations == 3
  decoded = model.decompress(found.data)
  assert found.ms_ssim == MsSsim(IMAGE).score(decoded) < 1
  assert model.compress_to(IMAGE, Target(max_bytes=10**9)).iterations == 3


def test_tiles_reach_a_quality_as_a_whole_does(coder):
  model, _ = codec(coder)
  whole = [model.compress_to(IMAGE, Target(ms_ssim=x)) for x in (0.8, 0.9, 0.97, 1.0)]
  splitting = model.needs.splitting
  small = dataclasses.replace(
    splitting,
    max_whole_px=64 * 64,
    tiling=dataclasses.replace(splitting.tiling, tile_px=96, overlap_px=32),
  )
  model.needs = dataclasses.replace(model.needs, splitting=small)
  for one, target in zip(whole, (0.8, 0.9, 0.97, 1.0)):
    found = model.compress_to(IMAGE, Target(ms_ssim=target))
    assert bitstream.read_header(found.data).tiles.num_tiles > 1
    assert found.is_met
    assert found.ms_ssim == MsSsim(IMAGE).score(model.decompress(found.data))
    assert found.iterations == one.iterations
    assert found.data == model.compress(IMAGE, iterations=found.iterations)


def test_an_alpha_and_metadata_come_back_at_every_size():
  model, _ = codec()
  rng = np.random.default_rng(0)
  for size in ((1, 1), (1, 67), (67, 1), (16, 17), (33, 40), (67, 67)):
    image = np.dstack((picture(5, 5)[: size[0], : size[1]], rng.integers(0, 256, size)))
    image = image.astype(np.uint8)
    image[0, 0, 3] = 7
    data = model.compress(image, metadata=METADATA)
    np.testing.assert_array_equal(model.decompress(data), image)
    assert bitstream.read_header(data).side == {"alpha", "metadata"}


def test_an_opaque_alpha_costs_nothing():
  model, _ = codec()
  opaque = np.dstack((IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)))
  assert model.compress(opaque) == model.compress(IMAGE)


def test_what_lies_beside_a_picture_never_costs_it():
  """Any flipped bit there: the picture comes, without what was hit, which is said."""
  model, _ = codec(iterations=1)
  image = np.dstack((picture(1, 2), np.tile(np.arange(32, dtype=np.uint8), (16, 1))))
  data = model.compress(image, metadata=Metadata(xmp=b"<a/>"))
  bare = model.compress(image[..., :3])
  start = bitstream.read_header(data).size_bytes
  end = len(data) - (len(bare) - bitstream.read_header(bare).size_bytes)
  expected = model.decompress(bare)
  refused = 0
  for place in range(start, end):
    for bit in range(8):
      flipped = bytearray(data)
      flipped[place] ^= 1 << bit
      try:
        stream = bitstream.unpack(bytes(flipped))
      except bitstream.BitstreamError:
        refused += 1  # a length: where the picture begins is not known
        continue
      assert stream.note
      assert stream.damaged_side
      np.testing.assert_array_equal(model.decode_stream(stream)[..., :3], expected)
  assert refused <= 2 * 4 * 8


def test_every_cut_gives_the_whole_or_an_error():
  model, _ = codec(iterations=2)
  image = np.dstack((picture(1, 2), np.tile(np.arange(32, dtype=np.uint8), (16, 1))))
  data = model.compress(image, metadata=METADATA)
  one = len(bitstream.cut(data, 1))
  for end in range(len(data)):
    if end >= one:
      assert model.decompress(data[:end]).shape == image.shape
    else:
      with pytest.raises(bitstream.BitstreamError):
        model.decompress(data[:end])


@pytest.mark.parametrize(
  ("given", "expected"),
  [
    ({"bpp": 0.5, "ms_ssim": 0.9}, "only one of"),
    ({"iterations": 1, "max_bytes": 9}, "only one of"),
    ({"bpp": float("nan")}, "a finite bpp"),
    ({"ms_ssim": 1.1}, "MS-SSIM"),
    ({"ms_ssim": 0.0}, "MS-SSIM"),
    ({"max_bytes": 0}, "1 byte"),
    ({"iterations": 0}, "1 to 255"),
  ],
)
def test_targets_that_make_no_sense_are_refused(given, expected):
  with pytest.raises(ValueError, match=expected):
    Target(**given)
