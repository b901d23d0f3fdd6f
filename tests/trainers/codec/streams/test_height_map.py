"""Height maps: inverse, compact, as their page tells them, and refused where forged."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import time
import tracemalloc

import google_crc32c
import numpy as np
import pytest

from hardmine.trainers.codec.entropy.coding import ContextCoder
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.codec.streams.bitstream import (
  BitstreamError,
  Header,
  cut,
  pack_tiles,
  prefix_bytes,
  unpack,
)
from hardmine.trainers.codec.streams.chunks import frame, side_number
from hardmine.trainers.codec.streams.height_map import (
  HeightMapError,
  by_tile,
  pack_heights,
  raw_sizes,
  unpack_heights,
)
from hardmine.trainers.codec.streams.tiling import Tiling
from tests.trainers.codec.entropy import plain_decoder
from tests.trainers.codec.entropy.small_models import likely_tile, small_model
from tests.trainers.codec.entropy.test_coding import as_lists

CODER = ContextCoder(small_model())
TILING = Tiling(tile_px=64, overlap_px=8)


def header_of(height_px=50, width_px=90, iterations=3, tiling=None, gains=True):
  return Header(
    model_id=bytes.fromhex("0123456789abcdef"),
    height_px=height_px,
    width_px=width_px,
    padding_px=16,
    iterations=iterations,
    sends_gains=gains,
    tiling=tiling,
  )


def heights_of(header, seed=0, least=0):
  """Of every height, and the last is the highest."""
  count = header.tiles.num_positions(header.padding_px)
  rng = np.random.default_rng(seed)
  heights = rng.integers(least, header.iterations + 1, count).astype(np.uint8)
  heights[0], heights[-1] = least, header.iterations
  return heights


def smooth_heights(header):
  grids = []
  for grid in by_tile(header, heights_of(header)):
    y, x = np.indices(grid.shape)
    grids.append(8 + 7 * np.sin(y / 6) * np.cos(x / 9))
  heights = np.concatenate([one.ravel() for one in grids]).astype(np.uint8)
  heights[-1] = header.iterations
  return heights


def stream_of(seed=0, **sizes):
  header = header_of(**sizes)
  heights = heights_of(header, seed)
  tiles = []
  for grid in by_tile(header, heights):
    codes, gains = likely_tile(header.iterations, *grid.shape)
    codes[grid <= np.arange(len(codes))[:, None, None]] = 0
    tiles.append((codes, gains))
  return header, heights, tiles


SIZES = [(1, 1), (1, 67), (67, 1), (33, 40), (130, 200)]


@pytest.mark.parametrize("tiling", [None, TILING])
@pytest.mark.parametrize("iterations", [1, 2, 16, 255])
def test_unpacking_inverts_packing(tiling, iterations):
  for height_px, width_px in SIZES:
    header = header_of(height_px, width_px, iterations, tiling)
    for seed in range(3):
      heights = heights_of(header, seed)
      payload = pack_heights(header, heights)
      assert len(payload) <= header.max_side_bytes("height_map")
      np.testing.assert_array_equal(unpack_heights(header, payload), heights)


def test_smooth_heights_are_few_bytes():
  header = header_of(512, 768, 16)
  heights = smooth_heights(header)
  assert len(pack_heights(header, heights)) < 1.2 * heights.size / 8
  noise = heights_of(header)
  assert len(pack_heights(header, noise)) < 1.15 * np.log2(17) * noise.size / 8


def test_the_map_decodes_as_its_page_tells_it():
  """By a decoder of whole numbers that shares no line with ours."""
  for tiling in (None, TILING):
    header = header_of(130, 200, 9, tiling)
    heights = heights_of(header)
    grids = [grid.shape for grid in by_tile(header, heights)]
    found = plain_decoder.decode_heights(pack_heights(header, heights), grids, 9)
    assert found == [grid.tolist() for grid in by_tile(header, heights)]


def test_bits_of_a_stream_with_a_map_decode_as_the_page_tells_it():
  header, heights, ((codes, gains),) = stream_of(height_px=75, width_px=90)
  data = pack_tiles(header, [(codes, gains)], None, CODER, heights)
  stream = unpack(data)
  (grid,) = by_tile(header, heights)
  planes = plain_decoder.decode(
    as_lists(CODER.model),
    [one[1:] for one in stream.payloads],
    [len(one) == size for one, size in zip(stream.payloads, stream.raw_bytes)],
    grid.shape,
    gains.tolist(),
    grid.tolist(),
  )
  for number, plane in enumerate(planes):
    there = {(int(y), int(x)) for y, x in np.argwhere(grid > number)}
    assert set(plane) == there
    for place in there:
      np.testing.assert_array_equal(
        np.array(plane[place]) > 0, codes[number][place] > 0
      )


@pytest.mark.parametrize("coder", [None, CODER])
@pytest.mark.parametrize("tiling", [None, TILING])
def test_a_stream_has_the_bits_of_its_heights_and_no_others(coder, tiling):
  side = {"metadata": b"who made it"}
  for height_px, width_px in SIZES[1:]:
    header, heights, tiles = stream_of(
      height_px=height_px, width_px=width_px, tiling=tiling
    )
    data = pack_tiles(header, tiles, side, coder, heights)
    stream = unpack(data).with_raw_bits(coder)
    np.testing.assert_array_equal(stream.heights, heights)
    assert dict(stream.side) == side
    for (codes, gains), (expected, sent) in zip(stream.tiles(), tiles):
      np.testing.assert_array_equal(codes, expected)
      np.testing.assert_array_equal(gains, sent)
    assert (
      pack_tiles(stream.header, stream.tiles(), side, coder, stream.heights) == data
    )
    # bits beyond the heights are not looked at
    others = [
      (codes | _beyond(grid), gains)
      for (codes, gains), grid in zip(tiles, by_tile(header, heights))
    ]
    assert pack_tiles(header, others, side, coder, heights) == data
    raw = pack_tiles(header, tiles, side, None, heights)
    assert len(data) <= len(raw)
    bits = sum(raw_sizes(header, heights))
    assert bits == header.num_gains * 3 + 4 * int(heights.sum())
    map_bytes = len(pack_heights(header, heights))
    assert len(raw) == 40 + 8 * 5 + len(side["metadata"]) + map_bytes + bits


def _beyond(grid):
  """uint8 [3, rows, columns, 1], ones where there are no codes."""
  return (grid <= np.arange(3)[:, None, None]).astype(np.uint8)[..., None]


def test_equal_heights_are_a_stream_without_a_map():
  header, heights, tiles = stream_of()
  full = np.full_like(heights, header.iterations)
  assert pack_tiles(header, tiles, None, CODER, full) == pack_tiles(
    header, tiles, None, CODER
  )


@pytest.mark.parametrize("coder", [None, CODER])
def test_cutting_is_writing_fewer(coder):
  header, heights, tiles = stream_of(height_px=100, width_px=120, iterations=5)
  data = pack_tiles(header, tiles, None, coder, heights)
  sizes = prefix_bytes(data)
  assert sizes[-1] == len(data)
  for iterations in range(1, 6):
    part = cut(data, iterations)
    assert len(part) == sizes[iterations - 1]
    lower = np.minimum(heights, iterations).astype(np.uint8)
    shorter = dataclasses.replace(header, iterations=iterations)
    codes, gains = tiles[0]
    again = [(codes[:iterations], gains[:iterations])]
    assert pack_tiles(shorter, again, None, coder, lower) == part
    begun = unpack(data, iterations).with_raw_bits(coder)
    np.testing.assert_array_equal(begun.codes, codes[:iterations])


def test_windows_see_what_the_whole_does():
  header, heights, tiles = stream_of(height_px=100, width_px=120)
  stream = unpack(pack_tiles(header, tiles, None, None, heights))
  rows, columns = slice(2, 5), slice(1, 8)
  np.testing.assert_array_equal(
    stream.window(rows, columns), stream.codes[:, rows, columns]
  )
  found = stream.window_heights(rows, columns)
  np.testing.assert_array_equal(found, heights.reshape(header.grid)[rows, columns])


@pytest.mark.parametrize("coder", [None, CODER])
def test_every_cut_and_every_flipped_bit_is_caught_or_harmless(coder):
  header, heights, tiles = stream_of()
  data = pack_tiles(header, tiles, None, coder, heights)
  whole = bitstream.read_header(data)
  ends = [one.end for one in bitstream.read_chunks(data, whole, 3)]
  assert ends[-1] == len(data)
  for length in range(len(data)):
    complete = sum(end <= length for end in ends)
    if complete:
      assert unpack(data[:length]).iterations == complete
      continue
    with pytest.raises(BitstreamError):
      unpack(data[:length])
  expected = tiles[0][0]
  for position in range(8 * len(data)):
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    bitstream.read_chunks(bytes(damaged), whole, 3)  # raises nothing
    try:
      stream = unpack(bytes(damaged)).with_raw_bits(coder)
    except BitstreamError as error:
      assert "\n" not in str(error)  # noqa: PT017
      continue
    np.testing.assert_array_equal(stream.codes, expected[: stream.iterations])
    assert stream.note


def test_forged_maps_are_refused_without_memory_or_time():
  """Their checksums are right, and what they say is not."""
  small, large = header_of(), header_of(1 << 14, 1 << 14, 255)
  rng = np.random.default_rng(0)
  payload = pack_heights(small, heights_of(small))
  low = pack_heights(
    dataclasses.replace(small, iterations=2),
    heights_of(dataclasses.replace(small, iterations=2)),
  )
  lies = [(large, b""), (large, payload), (small, b""), (small, payload[:-1])]
  lies += [(small, payload + bytes(4)), (small, payload[:-4]), (large, bytes(1024))]
  lies += [(small, rng.bytes(4 * n)) for n in range(12)]
  tracemalloc.start()
  began = time.perf_counter()
  for header, lie in lies:
    with pytest.raises(HeightMapError) as caught:
      unpack_heights(header, lie)
    assert "\n" not in str(caught.value)
  with contextlib.suppress(HeightMapError):
    assert unpack_heights(small, low).max() == small.iterations
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 1 << 20
  assert time.perf_counter() - began < 2


def test_a_stream_whose_map_is_forged_says_so():
  header, heights, tiles = stream_of()
  data = pack_tiles(header, tiles, None, None, heights)
  head, chunk = data[:40], len(pack_heights(header, heights)) + 8
  for lie in (b"", bytes(8), struct.pack("<I", 7) * 5):
    forged = head + frame(head, side_number("height_map"), lie) + data[40 + chunk :]
    with pytest.raises(BitstreamError, match="heights"):
      unpack(forged)
    found = bitstream.read_chunks(forged, bitstream.read_header(forged), 3)
    assert [one.problem for one in found] == ["damaged"] * 3
  assert google_crc32c.value(head[:36]) == struct.unpack("<I", head[36:])[0]


def test_maps_of_another_stream_are_refused():
  header, heights, tiles = stream_of()
  for wrong in (heights[:-1], heights.astype(int), np.minimum(heights, 2)):
    with pytest.raises(ValueError, match=r"heights as uint8|the highest position"):
      pack_tiles(header, tiles, None, None, wrong)


def test_golden_bytes_of_a_map():
  """What was once written stays readable."""
  header = header_of(190, 250, 16)
  (grid,) = by_tile(header, heights_of(header))
  y, x = np.indices(grid.shape)
  heights = (3 + (y * y + 2 * x) // 5 % 14).astype(np.uint8).ravel()
  assert pack_heights(header, heights).hex() == GOLDEN
  np.testing.assert_array_equal(unpack_heights(header, bytes.fromhex(GOLDEN)), heights)


GOLDEN = (
  "3a9b2a7d2ee52d4e3ac99fc193d04b0fa6205a84b5f6c2404fe43987ad79ea09c0a3a277d3d1ccf0"
  "ebe860a6"
)
