"""`hardmine.trainers.codec.streams.bitstream`: round trips, cuts, damage, forgery."""

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
  pack,
  unpack,
)

MODEL_ID = bytes.fromhex("0123456789abcdef")


def stream_of(
  height_px: int,
  width_px: int,
  iterations: int = 3,
  padding_px: int = 16,
  seed: int = 0,
) -> tuple[Header, np.ndarray, bytes]:
  header = Header(
    model_id=MODEL_ID,
    height_px=height_px,
    width_px=width_px,
    padding_px=padding_px,
    iterations=iterations,
  )
  shape = (iterations, *header.grid, 32)
  codes = np.random.default_rng(seed).integers(0, 2, shape, np.uint8)
  return header, codes, pack(header, codes)


def forged(data: bytes, offset: int, content: bytes) -> bytes:
  """Overwrites header bytes and makes the header's checksum right again."""
  fields = data[:offset] + content + data[offset + len(content) : 24]
  return fields + struct.pack("<I", google_crc32c.value(fields)) + data[28:]


@hypothesis.given(
  height_px=st.integers(1, 67),
  width_px=st.integers(1, 67),
  iterations=st.integers(1, 5),
  padding_px=st.sampled_from([16, 32]),
  seed=st.integers(0, 2**32 - 1),
)
def test_unpack_inverts_pack(height_px, width_px, iterations, padding_px, seed):
  header, codes, data = stream_of(height_px, width_px, iterations, padding_px, seed)
  stream = unpack(data)
  assert stream.header == header
  np.testing.assert_array_equal(stream.codes, codes)
  assert stream.codes.dtype == np.uint8
  assert (stream.num_missing, stream.note) == (0, None)


@hypothesis.given(
  height_px=st.integers(1, 67), iterations=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_unpack_inverts_pack_with_gains_too(height_px, iterations, seed):
  header, codes, _ = stream_of(height_px, 40, iterations, seed=seed)
  header = dataclasses.replace(header, sends_gains=True)
  gains = np.random.default_rng(seed).integers(0, 64, iterations, np.uint8)
  data = pack(header, codes, gains)
  stream = unpack(data)
  assert stream.header == header
  np.testing.assert_array_equal(stream.codes, codes)
  np.testing.assert_array_equal(stream.gains, gains)
  assert len(data) == rates.size_bytes(height_px, 40, 16, iterations, sends_gains=True)


def test_a_gain_costs_one_byte_an_iteration_and_another_version():
  header, codes, plain = stream_of(20, 40, iterations=4)
  sending = dataclasses.replace(header, sends_gains=True)
  data = pack(sending, codes, np.arange(4, dtype=np.uint8))
  assert (plain[4], data[4]) == (1, 2)
  assert len(data) == len(plain) + 4
  np.testing.assert_array_equal(unpack(data[:-1]).gains, [0, 1, 2])  # cut in the last


@pytest.mark.parametrize(
  "gains", [None, np.zeros(3, np.uint8), np.zeros(4), np.full(4, 64, np.uint8)]
)
def test_gains_of_another_shape_or_size_are_refused(gains):
  header, codes, _ = stream_of(20, 40, iterations=4)
  with pytest.raises(ValueError, match="Expected gains"):
    pack(dataclasses.replace(header, sends_gains=True), codes, gains)


def test_forged_gains_are_refused():
  header, codes, _ = stream_of(16, 16, iterations=1)
  header = dataclasses.replace(header, sends_gains=True)
  data = bytearray(pack(header, codes, np.zeros(1, np.uint8)))
  data[36] = 200  # the gain; then the chunk's checksum made right again
  head = google_crc32c.value(bytes(data[24:28]) + b"\x00" + bytes(data[28:32]))
  data[32:36] = struct.pack("<I", google_crc32c.extend(head, bytes(data[36:])))
  with pytest.raises(BitstreamError, match="gains of 0 to 63"):
    unpack(bytes(data))


@pytest.mark.parametrize("padding_px", [16, 32])
def test_every_size_from_1_to_67_covers_its_image_and_no_block_more(padding_px):
  for side_px in range(1, 68):
    header, _, data = stream_of(side_px, 68 - side_px, 1, padding_px)
    rows, columns = header.grid
    for blocks, length_px in ((rows, side_px), (columns, 68 - side_px)):
      assert blocks * 16 % padding_px == 0
      assert length_px <= blocks * 16 < length_px + padding_px
    assert unpack(data).codes.shape == (1, rows, columns, 32)


def test_size_is_known_before_anything_is_encoded():
  for height_px, width_px, iterations, padding_px in [
    (1, 1, 1, 16),
    (17, 33, 4, 16),
    (17, 33, 4, 32),
    (67, 5, 255, 16),
  ]:
    _, _, data = stream_of(height_px, width_px, iterations, padding_px)
    size = rates.size_bytes(height_px, width_px, padding_px, iterations)
    assert len(data) == size


def test_padding_to_32_costs_more_bits():
  assert rates.iteration_bits(33, 17, 16) == 3 * 2 * 32
  assert rates.iteration_bits(33, 17, 32) == 4 * 2 * 32
  assert rates.iteration_bits(512, 768, 32) == 512 * 768 // 8


def test_an_iteration_costs_an_eighth_of_a_bit_per_pixel():
  # 1608.05148, section 3: 32 bits per 16x16 pixels; here with 8 bytes of frame.
  one, two = (rates.size_bytes(512, 768, 16, n) for n in (1, 2))
  assert two - one == 512 * 768 * 0.125 / 8 + 8
  overhead_bpp = (one - 512 * 768 * 0.125 / 8) * 8 / (512 * 768)
  assert overhead_bpp < 0.001


def test_cut_anywhere_decodes_the_complete_iterations_and_says_so():
  header, codes, data = stream_of(20, 40, iterations=4)
  chunk = 8 + header.payload_bytes
  for length in range(len(data)):
    complete = max(0, length - 28) // chunk
    if complete == 0:
      with pytest.raises(BitstreamError):
        unpack(data[:length])
      continue
    stream = unpack(data[:length])
    np.testing.assert_array_equal(stream.codes, codes[:complete])
    assert stream.num_missing == 4 - complete
    assert f"decoded {complete} of 4 iterations" in stream.note


def test_no_flipped_bit_is_decoded():
  _, _, data = stream_of(20, 20, iterations=3)
  for position in range(8 * len(data)):
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    with pytest.raises(BitstreamError) as caught:
      unpack(bytes(damaged))
    assert "\n" not in str(caught.value)


def test_iterations_before_the_damage_decode_when_asked_for():
  header, codes, data = stream_of(20, 20, iterations=4)
  chunk = 8 + header.payload_bytes
  for index in range(4):
    for offset in range(28 + index * chunk, 28 + (index + 1) * chunk):
      damaged = data[:offset] + bytes([data[offset] ^ 16]) + data[offset + 1 :]
      with pytest.raises(BitstreamError, match=f"iteration {index + 1} of 4") as caught:
        unpack(damaged)
      if index:
        assert f"--iterations {index} decodes" in str(caught.value)
        np.testing.assert_array_equal(
          unpack(damaged, iterations=index).codes, codes[:index]
        )
      with pytest.raises(BitstreamError):
        unpack(damaged, iterations=index + 1)


def test_fewer_iterations_are_the_beginning_of_more():
  _, codes, data = stream_of(33, 17, iterations=5)
  for iterations in range(1, 6):
    stream = unpack(data, iterations=iterations)
    np.testing.assert_array_equal(stream.codes, codes[:iterations])
    assert stream.num_missing == 0


@pytest.mark.parametrize("iterations", [-1, 0, 4])
def test_iterations_that_were_not_written_are_refused(iterations):
  _, _, data = stream_of(16, 16, iterations=3)
  with pytest.raises(ValueError, match=f"iterations={iterations}"):
    unpack(data, iterations=iterations)


def test_what_is_missing_is_counted_from_what_was_asked_for():
  header, _, data = stream_of(16, 16, iterations=4)
  cut = data[: 28 + 2 * (8 + header.payload_bytes)]
  assert unpack(cut).num_missing == 2
  assert unpack(cut, iterations=3).num_missing == 1
  assert unpack(cut, iterations=2).num_missing == 0


def test_chunks_that_moved_are_damage():
  header, _, data = stream_of(16, 32, iterations=3)
  size = 8 + header.payload_bytes
  head, chunks = data[:28], [data[28 + i * size :][:size] for i in range(3)]
  for order in ([1, 0, 2], [0, 2, 1], [0, 0, 1], [1, 2, 0]):
    with pytest.raises(BitstreamError, match="is damaged"):
      unpack(head + b"".join(chunks[i] for i in order))


def test_equal_chunks_at_different_places_have_different_checksums():
  header, codes, _ = stream_of(16, 16, iterations=2)
  data = pack(header, np.zeros_like(codes))
  assert data[28:40] != data[40:52]


def test_chunks_of_another_file_are_damage():
  header, codes, data = stream_of(16, 32, iterations=2)
  other = pack(dataclasses.replace(header, width_px=31), codes)
  assert len(other) == len(data)
  with pytest.raises(BitstreamError, match="iteration 1 of 2 is damaged"):
    unpack(data[:28] + other[28:])


def test_bytes_behind_the_end_are_refused():
  _, _, data = stream_of(16, 16)
  with pytest.raises(BitstreamError, match="behind the last iteration"):
    unpack(data + b"\0")


@pytest.mark.parametrize(
  ("offset", "content", "message"),
  [
    (5, b"\x02", "newer version"),
    (6, b"\x00", "iterations"),
    (7, b"\x00", "padding"),
    (7, b"\x03", "padding"),
    (16, b"\0\0\0\0", "pixels"),
    (16, b"\xff\xff\xff\xff\xff\xff\xff\xff", "pixels"),
    (16, struct.pack("<II", 1 << 15, (1 << 13) + 1), "pixels"),
    # Sizes that are allowed, but the chunk found is too short for them.
    (16, struct.pack("<II", 1 << 14, 1 << 14), "is damaged"),
    (16, struct.pack("<II", 1, 1 << 28), "is damaged"),
  ],
)
def test_forged_headers_allocate_nothing(offset, content, message):
  _, _, data = stream_of(64, 64, iterations=255)
  lie = forged(data, offset, content)
  tracemalloc.start()
  began = time.perf_counter()
  with pytest.raises(BitstreamError, match=message):
    unpack(lie)
  _, peak_bytes = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak_bytes < 1 << 20
  assert time.perf_counter() - began < 1


def test_a_consistent_lie_about_the_size_is_a_cut_file():
  _, _, data = stream_of(16, 16, iterations=255)
  head = forged(data, 16, struct.pack("<II", 1 << 14, 1 << 14))[:28]
  length = struct.pack("<I", 1 << 22)  # 2^20 positions of four bytes
  with pytest.raises(BitstreamError, match="cut after 40 bytes"):
    unpack(head + length + bytes(8))


def test_forged_lengths_are_damage():
  _, _, data = stream_of(16, 16, iterations=2)
  for length in (0, 1, 1 << 31, (1 << 32) - 1):
    lie = data[:28] + struct.pack("<I", length) + data[32:]
    with pytest.raises(BitstreamError, match="iteration 1 of 2 is damaged"):
      unpack(lie)


@pytest.mark.parametrize(
  "data", [b"", b"\xff\xd8\xff\xe0", b"\x09HMC" + bytes(60), bytes(100)]
)
def test_other_files_are_named_as_such(data):
  with pytest.raises(BitstreamError, match="Expected a hardmine stream"):
    unpack(data)


def test_a_later_version_is_refused_in_one_line():
  _, _, data = stream_of(16, 16)
  with pytest.raises(
    BitstreamError, match=r"version 1 to 4. Received: 5, .*newer"
  ) as caught:
    unpack(data[:4] + b"\x05" + data[5:])
  assert "\n" not in str(caught.value)


def test_a_wrong_model_is_named_with_both_hashes():
  header, _, _ = stream_of(16, 16)
  bitstream.check_model(header, MODEL_ID)
  with pytest.raises(BitstreamError, match=r"00000000000000ff.*0123456789abcdef"):
    bitstream.check_model(header, bytes.fromhex("00000000000000ff"))


@pytest.mark.parametrize(
  "codes",
  [
    np.zeros((3, 1, 1, 31), np.uint8),
    np.zeros((2, 1, 1, 32), np.uint8),
    np.zeros((3, 1, 1, 32), np.float32),
    np.full((3, 1, 1, 32), 2, np.uint8),
  ],
  ids=["depth", "iterations", "dtype", "values"],
)
def test_codes_that_do_not_fit_the_header_are_refused(codes):
  header, _, _ = stream_of(16, 16, iterations=3)
  with pytest.raises(ValueError, match="Expected codes"):
    pack(header, codes)


@pytest.mark.parametrize(
  "fields",
  [
    {"model_id": b"short"},
    {"width_px": 0},
    {"height_px": 1 << 28, "width_px": 2},
    {"padding_px": 8},
    {"iterations": 256},
    {"entropy_level": 1},
  ],
)
def test_headers_that_cannot_be_written_are_refused(fields):
  header, _, _ = stream_of(16, 16)
  with pytest.raises(ValueError, match="Received"):
    dataclasses.replace(header, **fields)


def test_problems_are_listed_without_an_error():
  header, _, data = stream_of(16, 16, iterations=4)
  damaged = data[:45] + bytes([data[45] ^ 1]) + data[46:-1]
  problems = [c.problem for c in bitstream.read_chunks(damaged, header, 4)]
  assert problems == [None, "damaged", None, "cut"]


# Format version 1, laid out by hand from the module's docstring: a 17x5 image
# (width 17, height 5), so a grid of 1x2 positions and 8 bytes an iteration.
GOLDEN_V1 = bytes.fromhex(
  "89484d43"  # magic
  "01000201"  # version 1, level 0, 2 iterations, padding 1 x 16 px
  "0123456789abcdef"  # model id
  "1100000005000000"  # 17 wide, 5 high
  "65fd84c3"  # CRC32C, computed bit by bit with 0x82f63b78
  "08000000d556e4208000000000000001"  # iteration 1
  "08000000900b8d9cffff0000aaaa5555"  # iteration 2
)


def test_golden_bytes_of_version_1_still_decode():
  stream = unpack(GOLDEN_V1)
  assert stream.header == Header(
    model_id=MODEL_ID, height_px=5, width_px=17, padding_px=16, iterations=2
  )
  expected = np.zeros((2, 1, 2, 32), np.uint8)
  expected[0, 0, 0, 0] = 1  # the highest bit of the first byte
  expected[0, 0, 1, 31] = 1  # the lowest bit of the last byte
  expected[1, 0, 0, :16] = 1
  expected[1, 0, 1, 0:16:2] = 1
  expected[1, 0, 1, 17:32:2] = 1
  np.testing.assert_array_equal(stream.codes, expected)
  assert pack(stream.header, stream.codes) == GOLDEN_V1
