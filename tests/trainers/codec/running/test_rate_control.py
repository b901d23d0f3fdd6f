"""Rates that are kept, said and not overspent, with raw bits and with coded ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.rate_control import Target
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.metrics.ms_ssim import MsSsim
from hardmine.trainers.photo_metadata.metadata import Metadata
from tests.trainers.codec.running.bit_planes import ITERATIONS, Deflate, codec, picture
from tests.trainers.codec.running.passes import noted

IMAGE = picture(12, 11, height_px=187, width_px=170)
METADATA = Metadata(exif=b"II*\0" + bytes(range(200)))
CODERS = (None, Deflate())


@pytest.fixture(params=CODERS, ids=["raw", "coded"])
def coder(request):
  return request.param


def tiled(model):
  """The same, which splits pictures that are larger than 64x64 pixels."""
  splitting = model.needs.splitting
  small = dataclasses.replace(
    splitting,
    max_whole_px=64 * 64,
    tiling=dataclasses.replace(splitting.tiling, tile_px=96, overlap_px=32),
  )
  model.needs = dataclasses.replace(model.needs, splitting=small)
  return model


def files_of(model, image, **how):
  """Of 1, 2, ... iterations, each written by itself."""
  return [
    model.compress(image, iterations=n, **how) for n in range(1, model.iterations + 1)
  ]


def assert_sizes_are_kept(model, image, **how):
  """By the last file that is not too large; where none is, the first is named."""
  files = files_of(model, image, **how)
  sizes = [len(one) for one in files]
  pixels = image.shape[0] * image.shape[1]
  edges = [edge for size in sizes for edge in (size - 1, size)]
  for most in [1, *edges, 2 * sizes[-1]]:
    fitting = sum(size <= most for size in sizes)
    for target in (Target(max_bytes=most), Target(bpp=8 * most / pixels)):
      if not fitting:
        least = f"{sizes[0]:,} bytes" if target.max_bytes else "0.[0-9]+ bits per pixel"
        with pytest.raises(ValueError, match=f"at least {least}, one iteration of a"):
          model.compress_to(image, target, **how)
        continue
      found = model.compress_to(image, target, **how)
      assert found.data == files[fitting - 1]
      assert found.iterations == fitting
      assert found.next_bytes == (sizes[fitting] if fitting < len(sizes) else None)


@pytest.mark.parametrize("beside", [{}, {"metadata": METADATA}], ids=["bare", "beside"])
@pytest.mark.parametrize("way", ["whole", "at_once", "tiled"])
def test_a_size_is_kept_and_one_more_iteration_would_break_it(coder, way, beside):
  model, network = codec(coder)
  network.is_lazy = way == "whole"
  if way == "tiled":
    tiled(model)
    assert bitstream.read_header(model.compress(IMAGE)).tiles.num_tiles > 1
  assert_sizes_are_kept(model, IMAGE, **beside)


def test_the_smallest_file_is_named(coder):
  model, _ = codec(coder)
  least = len(model.compress(IMAGE, iterations=1, metadata=METADATA))
  with pytest.raises(ValueError, match=f"at least {least:,} bytes.*metadata of"):
    model.compress(IMAGE, max_bytes=least - 1, metadata=METADATA)


def test_coded_bits_need_one_iteration_more_than_is_kept_and_raw_ones_none(coder):
  model, network = codec(coder)
  sizes = [len(one) for one in files_of(model, IMAGE)]
  for fitting, size in enumerate(sizes, start=1):
    network.num_encoded = 0
    model.compress(IMAGE, max_bytes=size)
    looked_at = fitting if coder is None else min(fitting + 1, ITERATIONS)
    assert network.num_encoded == looked_at


@pytest.fixture
def photograph():
  smooth = picture(4, 5, seed=3).astype(float)
  for axis in (0, 1):
    smooth = np.mean([np.roll(smooth, shift, axis) for shift in range(24)], axis=0)
  return smooth.astype(np.uint8)


@pytest.mark.parametrize("entropy", [True, False])
def test_a_trained_codec_keeps_sizes_too(entropy, photograph):
  model = Codec.load("codec_small", "onnxruntime")
  assert_sizes_are_kept(model, photograph, entropy=entropy)
  grey = np.repeat(photograph[..., :1], 3, axis=-1)
  assert_sizes_are_kept(model, grey, entropy=entropy)


def test_the_decoder_runs_behind_what_is_kept_alone(photograph, monkeypatch):
  """And the encoder once more, which finds what is too much."""
  model = Codec.load("codec_small", "onnxruntime")
  sizes = [len(one) for one in files_of(model, photograph)]
  passes = noted(monkeypatch)
  for fitting, size in enumerate(sizes):
    passes.clear()
    if fitting:
      model.compress(photograph, max_bytes=size - 1)
    else:
      with pytest.raises(ValueError, match="at least"):
        model.compress(photograph, max_bytes=size - 1)
    assert passes == ["encode", "decode"] * fitting + ["encode"]
  for how in ({}, {"max_bytes": sizes[-1]}, {"bpp": 24.0, "entropy": False}):
    passes.clear()
    model.compress(photograph, **how)
    assert passes == (["encode", "decode"] * model.iterations)[:-1]


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
  tiled(model)
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
