"""Version 3 of the stream, whose picture is in tiles: round trips, damage, forgery."""

from __future__ import annotations

import dataclasses
import struct
import time
import tracemalloc

import google_crc32c
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from hardmine.trainers.codec.streams import bitstream, rates
from hardmine.trainers.codec.streams.bitstream import (
  BitstreamError,
  Header,
  pack_tiles,
  unpack,
)
from hardmine.trainers.codec.streams.tiling import Splitting, Tiling

MODEL_ID = bytes.fromhex("0123456789abcdef")
TILING = Tiling(tile_px=32, overlap_px=8)


def stream_of(height_px, width_px, *, iterations=3, seed=0, **others):
  header = Header(
    model_id=MODEL_ID,
    height_px=height_px,
    width_px=width_px,
    iterations=iterations,
    tiling=TILING,
    **{"padding_px": 16, "sends_gains": True, **others},
  )
  generator = np.random.default_rng(seed)
  tiles = []
  for rows, columns in header.tiles:
    shape = bitstream.code_grid(
      rows.stop - rows.start, columns.stop - columns.start, header.padding_px
    )
    codes = generator.integers(0, 2, (iterations, *shape, 32), np.uint8)
    gains = generator.integers(0, 64, iterations, np.uint8)
    tiles.append((codes, gains if header.sends_gains else 0 * gains))
  return header, tiles, pack_tiles(header, tiles)


def assert_tiles(stream, tiles, iterations):
  found = list(stream.tiles())
  assert len(found) == len(tiles)
  for ours, theirs in zip(found, tiles):
    for one, other in zip(ours, theirs):
      np.testing.assert_array_equal(one, other[:iterations])


@hypothesis.given(
  height_px=st.integers(1, 130),
  width_px=st.integers(1, 130),
  iterations=st.integers(1, 4),
  padding_px=st.sampled_from([16, 32]),
  sends_gains=st.booleans(),
)
@hypothesis.settings(deadline=None, max_examples=40)
def test_unpack_inverts_pack(height_px, width_px, iterations, padding_px, sends_gains):
  header, tiles, data = stream_of(
    height_px,
    width_px,
    iterations=iterations,
    padding_px=padding_px,
    sends_gains=sends_gains,
  )
  stream = unpack(data)
  assert stream.header == header
  assert_tiles(stream, tiles, iterations)
  size = rates.size_bytes(
    height_px,
    width_px,
    padding_px,
    iterations,
    sends_gains,
    Splitting(max_whole_px=0, tiling=TILING),
  )
  assert len(data) == size == rates.file_bytes(header)
  assert pack_tiles(header, stream.tiles()) == data


def test_cut_anywhere_decodes_the_complete_iterations():
  header, tiles, data = stream_of(40, 60, iterations=3)
  chunk = 8 + header.payload_bytes
  for length in range(len(data)):
    complete = max(0, length - 32) // chunk
    if complete == 0:
      with pytest.raises(BitstreamError):
        unpack(data[:length])
      continue
    stream = unpack(data[:length])
    assert stream.num_missing == 3 - complete
    assert_tiles(stream, tiles, complete)


def test_no_flipped_bit_is_decoded():
  _, _, data = stream_of(20, 40, iterations=2)
  for position in range(8 * len(data)):
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    with pytest.raises(BitstreamError):
      unpack(bytes(damaged))


def test_iterations_before_the_damage_decode_when_asked_for():
  header, tiles, data = stream_of(20, 60, iterations=3)
  offset = 32 + 2 * (8 + header.payload_bytes) + 20
  damaged = data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :]
  with pytest.raises(BitstreamError, match="--iterations 2 decodes"):
    unpack(damaged)
  assert_tiles(unpack(damaged, iterations=2), tiles, 2)


def test_bytes_behind_the_end_are_refused():
  with pytest.raises(BitstreamError, match="behind the last iteration"):
    unpack(stream_of(20, 60)[2] + b"\0")


def forged(data: bytes, offset: int, content: bytes) -> bytes:
  """Overwrites header bytes and makes the header's checksum right again."""
  fields = data[:offset] + content + data[offset + len(content) : 28]
  return fields + struct.pack("<I", google_crc32c.value(fields)) + data[32:]


@pytest.mark.parametrize(
  ("offset", "content", "message"),
  [
    (24, b"\0\0", "tiles of"),
    (24, b"\x21\0", "tiles of"),
    (24, b"\xe0\xff", "tiles of"),
    (26, b"\x09", "overlap"),
    (26, b"\x12", "overlap"),
    (27, b"\x02", "gains"),
    # Allowed, but the chunk found is too short for them.
    (24, b"\x40\0", "is damaged"),
    (16, struct.pack("<II", 1 << 14, 1 << 14), "is damaged"),
    (16, struct.pack("<II", 1, 1 << 28), "is damaged"),
    (16, struct.pack("<II", 1 << 28, 1), "is damaged"),
  ],
)
def test_forged_headers_allocate_nothing(offset, content, message):
  _, _, data = stream_of(64, 64, iterations=200)
  tracemalloc.start()
  began = time.perf_counter()
  with pytest.raises(BitstreamError, match=message):
    unpack(forged(data, offset, content))
  _, peak_bytes = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak_bytes < 1 << 20
  assert time.perf_counter() - began < 1


def test_forged_gains_of_any_tile_are_refused():
  header, _, data = stream_of(20, 60, iterations=1)
  assert header.tiles.num_tiles == 3
  for tile in range(3):
    lie = bytearray(data)
    lie[40 + tile] = 64  # then the chunk's checksum made right again
    crc = google_crc32c.value(bytes(lie[28:32]) + b"\0" + bytes(lie[32:36]))
    lie[36:40] = struct.pack("<I", google_crc32c.extend(crc, bytes(lie[40:])))
    with pytest.raises(BitstreamError, match="gains of 0 to 63"):
      unpack(bytes(lie))
    (chunk,) = bitstream.read_chunks(bytes(lie), header, 1)
    assert bitstream.has_wrong_gain(chunk, header)


def test_tiles_that_do_not_fit_the_header_are_refused():
  header, tiles, _ = stream_of(20, 60)
  for others in (tiles[:-1], [*tiles, tiles[0]], tiles[::-1]):
    with pytest.raises(ValueError, match=r"codes as uint8|zip\(\)"):
      pack_tiles(header, others)
  with pytest.raises(ValueError, match="Expected gains"):
    pack_tiles(header, [(codes, None) for codes, _ in tiles])
  with pytest.raises(ValueError, match="Expected"):
    dataclasses.replace(header, tiling=TILING, padding_px=8)


# Format version 3, laid out by hand from the docstrings: a 40x20 picture (40 wide) in
# tiles of 32 px that overlap by 8, so one of 32x20 (2x2 positions) and one of 16x20 (2
# rows, 1 column); checksums computed bit by bit with 0x82f63b78.
GOLDEN_V3 = bytes.fromhex(
  "89484d43"  # magic
  "03000101"  # version 3, level 0, 1 iteration, padding 1 x 16 px
  "0123456789abcdef"  # model id
  "2800000014000000"  # 40 wide, 20 high
  "2000"  # tiles of 32 px
  "0801"  # that overlap by 8 px and send gains
  "b627495d"  # CRC32C
  "1a000000d5a546c4"  # iteration 1: 26 bytes
  "053f"  # gains of both tiles
  "800000000000000100000000ffff0000"  # the first tile
  "aaaa555500000080"  # the second
)


def test_golden_bytes_of_version_3_decode():
  stream = unpack(GOLDEN_V3)
  assert stream.header == Header(
    model_id=MODEL_ID,
    height_px=20,
    width_px=40,
    padding_px=16,
    iterations=1,
    sends_gains=True,
    tiling=TILING,
  )
  (first, first_gain), (second, second_gain) = stream.tiles()
  assert (first_gain, second_gain) == (5, 63)
  expected = np.zeros((1, 2, 2, 32), np.uint8)
  expected[0, 0, 0, 0] = 1  # the highest bit of the first byte
  expected[0, 0, 1, 31] = 1  # the lowest bit of the last byte
  expected[0, 1, 1, :16] = 1
  np.testing.assert_array_equal(first, expected)
  expected = np.zeros((1, 2, 1, 32), np.uint8)
  expected[0, 0, 0, 0:16:2] = 1
  expected[0, 0, 0, 17:32:2] = 1
  expected[0, 1, 0, 24] = 1
  np.testing.assert_array_equal(second, expected)
  assert pack_tiles(stream.header, stream.tiles()) == GOLDEN_V3
