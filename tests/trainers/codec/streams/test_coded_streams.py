"""Streams of version 4: coded bits and side chunks; cut, damaged, forged, or whole."""

from __future__ import annotations

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
  pack_tiles,
  unpack,
)
from hardmine.trainers.codec.streams.stream_header import pack_header
from hardmine.trainers.codec.streams.tiling import Tiling
from tests.trainers.codec.entropy.small_models import likely_tile, small_model

MODEL_ID = bytes.fromhex("0123456789abcdef")
CODER = ContextCoder(small_model())
SIDE = {"metadata": b"who made it", "alpha": b"\x01\x02\x03"}


def tiles_of(header):
  for rows, columns in header.tiles:
    grid = bitstream.code_grid(
      rows.stop - rows.start, columns.stop - columns.start, header.padding_px
    )
    yield likely_tile(header.iterations, *grid)


def stream_of(height_px=50, width_px=90, iterations=3, side=None, tiling=None):
  header = Header(
    model_id=MODEL_ID,
    height_px=height_px,
    width_px=width_px,
    padding_px=16,
    iterations=iterations,
    sends_gains=True,
    tiling=tiling,
  )
  tiles = list(tiles_of(header))
  return header, tiles, pack_tiles(header, tiles, side, CODER)


def heights_of(header):
  """Of every height that there is."""
  count = header.tiles.num_positions(header.padding_px)
  heights = np.arange(count) * 7919 % (header.iterations + 1)
  heights[-1] = header.iterations
  return heights.astype(np.uint8)


def decoded(data, iterations=None):
  """Codes and gains of all tiles of what can be read."""
  return list(unpack(data, iterations).with_raw_bits(CODER).tiles())


def assert_same(found, tiles, iterations):
  assert len(found) == len(tiles)
  for (codes, gains), (expected, sent) in zip(found, tiles):
    np.testing.assert_array_equal(codes, expected[:iterations])
    np.testing.assert_array_equal(gains, sent[:iterations])


@pytest.mark.parametrize("tiling", [None, Tiling(tile_px=64, overlap_px=8)])
@pytest.mark.parametrize("side", [None, SIDE])
def test_unpack_inverts_pack(tiling, side):
  for height_px, width_px in [(1, 1), (17, 33), (67, 90), (130, 64)]:
    header, tiles, data = stream_of(height_px, width_px, side=side, tiling=tiling)
    assert_same(decoded(data), tiles, 3)
    stream = unpack(data)
    assert dict(stream.side) == (side or {})
    assert stream.header.tiling == header.tiling
    raw = pack_tiles(header, tiles, side)
    assert len(data) <= len(raw)
    again = stream.with_raw_bits(CODER)
    assert pack_tiles(again.header, again.tiles(), again.side, CODER) == data
    assert pack_tiles(header, tiles, side, CODER) == data


def test_likely_bits_are_fewer_and_the_version_says_so():
  header, tiles, data = stream_of(256, 256)
  raw = pack_tiles(header, tiles)
  assert (raw[4], data[4], data[5]) == (2, 4, 1)
  stream = unpack(data)
  assert stream.header.entropy_id == CODER.entropy_id
  assert stream.is_coded != (len(data) == len(raw))
  assert not stream.with_raw_bits(CODER).is_coded


def test_noise_is_never_larger_than_raw_bits():
  """Whatever the model says of it; where nothing is gained, the file is of raw bits."""
  header, _, _ = stream_of(96, 96)
  noise = np.random.default_rng(0).integers(0, 2, (3, 6, 6, 32), np.uint8)
  tiles = [(noise, np.zeros(3, np.uint8))]
  for side in (None, SIDE):
    raw = pack_tiles(header, tiles, side)
    assert pack_tiles(header, tiles, side, CODER) == raw
  assert pack_tiles(header, tiles, None, CODER)[4] == 2


def test_one_noisy_iteration_is_raw_among_coded_ones():
  header, tiles, _ = stream_of(256, 256)
  codes, gains = tiles[0]
  codes = codes.copy()
  codes[1] = np.random.default_rng(0).integers(0, 2, codes[1].shape, np.uint8)
  data = pack_tiles(header, [(codes, gains)], None, CODER)
  sizes = [len(one) for one in unpack(data).payloads]
  assert sizes[1] == header.payload_bytes == max(sizes)
  assert_same(decoded(data), [(codes, gains)], 3)


@pytest.mark.parametrize("side", [None, SIDE])
def test_cut_anywhere_decodes_the_complete_iterations_and_says_so(side):
  _, tiles, data = stream_of(side=side)
  ends = [
    chunk.end for chunk in bitstream.read_chunks(data, bitstream.read_header(data), 3)
  ]
  assert ends[-1] == len(data)
  for length in range(len(data)):
    complete = sum(end <= length for end in ends)
    if not complete:
      with pytest.raises(BitstreamError) as caught:
        unpack(data[:length])
      assert "\n" not in str(caught.value)
      continue
    stream = unpack(data[:length])
    assert (stream.iterations, stream.num_missing) == (complete, 3 - complete)
    assert f"decoded {complete} of 3" in stream.note
    if length in ends:
      assert_same(decoded(data[:length]), tiles, complete)


@pytest.mark.parametrize("side", [None, SIDE])
def test_a_flipped_bit_is_caught_or_gives_the_shorter_picture(side):
  _, tiles, data = stream_of(side=side)
  shorter, left_out = 0, 0
  for position in range(8 * len(data)):
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    try:
      stream = unpack(bytes(damaged))
    except BitstreamError as error:
      assert "\n" not in str(error)  # noqa: PT017
      continue
    assert stream.note
    assert set(stream.side) | set(stream.damaged_side) == set(side or {})
    left_out += bool(stream.damaged_side)
    shorter += bool(stream.num_missing)
    if position % 50 == 0:
      assert_same(list(stream.with_raw_bits(CODER).tiles()), tiles, stream.iterations)
  assert bool(left_out) == bool(side)
  assert shorter < 200  # lengths that reach beyond the end, as of a file that was cut


@pytest.mark.parametrize("name", ["metadata", "alpha"])
def test_the_picture_outlives_what_goes_along(name):
  _, tiles, data = stream_of(side=SIDE)
  place = data.index(SIDE[name])
  damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
  stream = unpack(damaged)
  assert stream.damaged_side == (name,)
  assert stream.note == f"its {name} is damaged and left out"
  assert set(stream.side) == {"metadata", "alpha"} - {name}
  assert_same(decoded(damaged), tiles, 3)


def test_nothing_is_decoded_without_its_height_map():
  header, tiles, _ = stream_of()
  data = pack_tiles(header, tiles, None, CODER, heights_of(header))
  place = header.size_bytes + 12 + 8  # version 4's header and the chunk's own
  damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
  with pytest.raises(BitstreamError, match="its height map is damaged"):
    unpack(damaged)
  with pytest.raises(BitstreamError, match="in its height map"):
    unpack(data[: place + 1])


def test_side_chunks_have_limits():
  header, tiles, _ = stream_of()
  pack_tiles(header, tiles, {"alpha": bytes(100)})
  with pytest.raises(ValueError, match=r"alpha of at most 67,108,864 bytes"):
    pack_tiles(header, tiles, {"alpha": bytes((64 << 20) + 1)})
  with pytest.raises(ValueError, match="heights as what they are"):
    pack_tiles(header, tiles, {"height_map": b""})
  with pytest.raises(ValueError, match="side chunks among"):
    pack_tiles(header, tiles, {"thumbnail": b""})


@pytest.mark.parametrize("coder", [None, CODER])
@pytest.mark.parametrize("side", [None, SIDE])
def test_cutting_is_writing_fewer(coder, side):
  header, tiles, _ = stream_of(100, 120, iterations=4)
  data = pack_tiles(header, tiles, side, coder)
  sizes = bitstream.prefix_bytes(data)
  assert sizes[-1] == len(data)
  for iterations in range(1, 5):
    part = bitstream.cut(data, iterations)
    assert len(part) == sizes[iterations - 1]
    assert unpack(part).note is None
    assert dict(unpack(part).side) == (side or {})
    assert_same(decoded(part), tiles, iterations)
  assert bitstream.cut(data, 4) == data
  with pytest.raises(ValueError, match="iterations"):
    bitstream.cut(data, 5)


def test_another_entropy_model_is_named_with_both_hashes():
  other = ContextCoder(small_model(4))
  _, _, data = stream_of(256, 256)
  ours, theirs = CODER.entropy_id.hex(), other.entropy_id.hex()
  with pytest.raises(BitstreamError, match=f"{theirs}.*{ours}"):
    unpack(data).with_raw_bits(other)
  with pytest.raises(BitstreamError, match=f"no entropy model.*{ours}"):
    unpack(data).with_raw_bits(None)
  with pytest.raises(BitstreamError, match=ours):
    _ = unpack(data).codes


def reforged(data, offset, content):
  """Overwrites header bytes and makes all checksums right again."""
  header = bitstream.read_header(data)
  fields = bytearray(data[:36])
  fields[offset : offset + len(content)] = content
  head = bytes(fields) + struct.pack("<I", google_crc32c.value(bytes(fields)))
  parts = [head]
  for number, chunk in enumerate(bitstream.read_chunks(data, header, 3)):
    length = struct.pack("<I", len(chunk.payload))
    crc = google_crc32c.value(head[36:] + bytes([number]) + length)
    crc = struct.pack("<I", google_crc32c.extend(crc, chunk.payload))
    parts += [length, crc, chunk.payload]
  return b"".join(parts)


@pytest.mark.parametrize(
  ("offset", "content", "message"),
  [
    (5, b"\x02", "newer version"),
    (5, b"\x00", "entropy model at level 1, and none at level 0"),
    (28, bytes(8), "entropy model at level 1, and none at level 0"),
    (27, b"\x41", "flags"),
    (26, b"\x02", "tiles of"),
    (16, b"\xff\xff\xff\xff\xff\xff\xff\xff", "pixels"),
  ],
)
def test_forged_headers_are_refused_in_one_line(offset, content, message):
  _, _, data = stream_of(256, 256)
  with pytest.raises(BitstreamError, match=message):
    unpack(reforged(data, offset, content))


def test_forged_sizes_allocate_nothing_before_they_are_asked_for():
  """Whoever decodes a consistent lie asks for memory first."""
  _, _, data = stream_of(256, 256)
  lies = [
    reforged(data, 16, struct.pack("<II", 1 << 14, 1 << 14)),
    data[:27] + b"\x0f" + data[28:],
    data[:40] + struct.pack("<I", 1 << 31) + data[44:],
  ]
  tracemalloc.start()
  began = time.perf_counter()
  for lie in lies:
    try:
      unpack(lie)
    except BitstreamError:
      continue
  _, peak_bytes = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak_bytes < 1 << 20
  assert time.perf_counter() - began < 1


def test_a_version_says_no_more_than_it_must():
  """One way to write a thing, so equal pictures are equal files."""
  header, tiles, _ = stream_of(64, 64)
  head = pack_header(dataclasses.replace(header, side=frozenset(["alpha"])))
  fields = bytearray(head[:36])
  fields[27] = 1
  lie = bytes(fields) + struct.pack("<I", google_crc32c.value(bytes(fields)))
  with pytest.raises(BitstreamError, match="format version 2"):
    bitstream.read_header(lie)
  assert pack_tiles(header, tiles)[4] == 2


# Format version 4, coded by `small_model`, whose numbers follow from their places.
GOLDEN_V4 = bytes.fromhex(
  "89484d43"  # magic
  "04010201"  # version 4, level 1, 2 iterations, padding 1 x 16 px
  "0123456789abcdef"  # model id
  "5000000040000000"  # 80 wide, 64 high
  "00000009"  # no tiles; gains and metadata
  "fe2960398c1c6e1c"  # entropy model
  "afda6167"  # CRC32C
  "02000000670a58716d65"  # metadata: "me"
  "3d000000a044bab71a"  # iteration 1: length, CRC32C, gain
  "cf6ee3541d29c422bbc8b1bb9bff9a3dc93693474b4dbc6b3c7851406fa59f3711f3ebb7b3e270a5"
  "5f79b96e5dbe9cb7fb40e16c66a89706be7e1e85"
  "35000000d1be299329"  # iteration 2: length, CRC32C, gain
  "4439d1679951e8c0ac4840d4a856dc26e2dbf23743d859936f4b4eb3278e9fea6733b29023cb3dcc"
  "1503e1dae27f67028d176947"
)
GOLDEN_CODES = bytes.fromhex(
  "808177b6eeb381758c0372749d799c41ed09dfa4efc2947ff0e631fce8ed5d1b78e3299f6ef07354"
  "bdcc785cbe2af57c355917b5f4ba450d4bed7d74f3cf585b79db539466eb01d15ba53db477e2d1e1"
  "bbb9c603877932a6d75f4e917bdfb7929c6d821baf695837353dc8934fb908e542ba889552b41ab0"
  "601be5be5bd384851ddba4cd51dd8a85d5efd0d72fbde6c8541982291f78c6d252fdce20029c41a6"
)


def test_golden_bytes_of_version_4_decode():
  stream = unpack(GOLDEN_V4)
  assert stream.header == Header(
    model_id=MODEL_ID,
    height_px=64,
    width_px=80,
    padding_px=16,
    iterations=2,
    sends_gains=True,
    entropy_level=1,
    entropy_id=CODER.entropy_id,
    side=frozenset(["metadata"]),
  )
  assert [len(one) < stream.header.payload_bytes for one in stream.payloads] == [
    True
  ] * 2
  ((codes, gains),) = stream.with_raw_bits(CODER).tiles()
  assert np.packbits(codes).tobytes() == GOLDEN_CODES
  assert (gains.tolist(), dict(stream.side)) == ([26, 41], {"metadata": b"me"})
  assert pack_tiles(stream.header, [(codes, gains)], stream.side, CODER) == GOLDEN_V4
