"""What lies beside a picture in its stream: alpha and metadata, whole or refused."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from hardmine.trainers.codec.side_chunks.alpha_plane import (
  AlphaError,
  composite,
  pack_alpha,
  unpack_alpha,
)
from hardmine.trainers.codec.side_chunks.metadata_chunk import (
  MAX_BYTES,
  MetadataError,
  pack_metadata,
  unpack_metadata,
)
from hardmine.trainers.photo_metadata.metadata import Metadata

METADATA = Metadata(exif=b"MM\0*" + bytes(range(40)), xmp="<a>©</a>".encode())


def planes():
  rng = np.random.default_rng(0)
  for size in ((1, 1), (1, 67), (67, 1), (2, 3), (33, 40), (67, 67)):
    yield rng.integers(0, 256, size, np.uint8)
    yield np.full(size, 128, np.uint8)
    yield np.where(rng.random(size) > 0.5, 255, 0).astype(np.uint8)


def test_alpha_is_kept_without_loss():
  for plane in planes():
    np.testing.assert_array_equal(unpack_alpha(pack_alpha(plane), *plane.shape), plane)


@pytest.mark.parametrize("way", range(4))
def test_every_way_of_telling_alpha_is_read(way):
  """As the description says, byte by byte."""
  plane = np.random.default_rng(way).integers(0, 256, (5, 7), np.uint8)
  padded = np.pad(plane.astype(int), [(1, 0), (1, 0)])
  left, up, both = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
  told = plane.astype(int) - [0, left, up, left + up - both][way]
  data = bytes([way]) + zlib.compress((told % 256).astype(np.uint8).tobytes())
  np.testing.assert_array_equal(unpack_alpha(data, 5, 7), plane)


def test_soft_edges_take_no_more_than_in_a_png():
  y, x = np.mgrid[:200, :300]
  for soft in (1, 40):
    share = np.clip((90 - np.hypot(y - 100, x - 150)) / soft, 0, 1)
    plane = np.rint(share * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG", optimize=True)
    assert len(pack_alpha(plane)) <= len(buffer.getvalue())


def test_metadata_is_kept():
  for one in (METADATA, Metadata(exif=b"II*\0"), Metadata(xmp=b"<a/>")):
    assert unpack_metadata(pack_metadata(one)) == one
  assert pack_metadata(Metadata()) == b""


def test_a_newer_kind_of_record_is_passed_over():
  records = b"\x01\x02\0\0\0ab" + b"\x09\x03\0\0\0xyz"
  found = unpack_metadata(b"\x01" + zlib.compress(records))
  assert found == Metadata(exif=b"ab")


def broken(data, rng):
  """Every cut, every flipped bit, and something behind the end."""
  yield from (data[:end] for end in range(len(data)))
  for bit in range(8 * len(data)):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    yield bytes(flipped)
  yield data + b"x"
  yield rng.bytes(len(data))


def test_broken_metadata_is_refused():
  """Checksums of the stream stand before this; here zlib's own is what is left."""
  data, rng = pack_metadata(METADATA), np.random.default_rng(1)
  for one in broken(data, rng):
    with contextlib.suppress(MetadataError):
      assert unpack_metadata(one) == METADATA


def test_broken_alpha_is_refused():
  plane = np.random.default_rng(2).integers(0, 256, (5, 9), np.uint8)
  data, rng = pack_alpha(plane), np.random.default_rng(3)
  for one in broken(data, rng):
    with contextlib.suppress(AlphaError):
      found = unpack_alpha(one, 5, 9)
      # The first byte has no checksum but the stream's.
      assert one[1:] == data[1:] or (found == plane).all()
  with pytest.raises(AlphaError):
    unpack_alpha(data, 9, 9)


def records(kind, size, value=b""):
  return b"\x01" + zlib.compress(bytes([kind]) + size.to_bytes(4, "little") + value)


@pytest.mark.parametrize(
  "data",
  [
    b"\x01" + zlib.compress(bytes(64 * MAX_BYTES), 9),  # a bomb
    records(1, 0xFFFFFFFF),
    b"\x01" + zlib.compress(b"\x02\0\0\0\0\x01\0\0\0\0"),
    b"\x02" + zlib.compress(b""),
    b"",
  ],
)
def test_forged_metadata_takes_no_memory(data):
  tracemalloc.start()
  with pytest.raises(MetadataError):
    unpack_metadata(data)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 4 * MAX_BYTES


def test_forged_sizes_of_alpha_take_no_memory():
  bomb = b"\0" + zlib.compress(bytes(1 << 26), 9)
  tracemalloc.start()
  for data, sides in ((bomb, (16384, 16384)), (bomb, (3, 3)), (b"\0", (1 << 14,) * 2)):
    with pytest.raises(AlphaError):
      unpack_alpha(data, *sides)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 1 << 20


def test_compositing_ends_at_the_picture_and_at_the_ground():
  rng = np.random.default_rng(4)
  image = rng.integers(0, 256, (3, 5, 4), np.uint8)
  ground = (255, 10, 0)
  image[..., 3] = 255
  np.testing.assert_array_equal(composite(image, ground), image[..., :3])
  image[..., 3] = 0
  assert (composite(image, ground) == ground).all()
  image[..., 3] = rng.integers(0, 256, (3, 5))
  share = image[..., 3:] / 255
  exact = image[..., :3] * share + np.array(ground) * (1 - share)
  assert np.abs(composite(image, ground) - exact).max() <= 0.5 + 1e-9
