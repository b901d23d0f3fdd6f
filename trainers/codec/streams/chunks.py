"""The pieces of a stream behind its header: side chunks, then iterations.

    chunk, 8 bytes + payload, for iteration i = 0, 1, ...
      0   4  bytes of the payload
      4   4  CRC32C of: the header's CRC (4 bytes), i (1 byte), the four bytes of
             the payload's length, the payload
      8      payload

A side chunk, which stands before them, has 255 - its flag in the place of i.

A chunk's checksum covers the header's and its own number, so chunks that were
swapped, doubled or taken from another file are noticed, not just flipped bits.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence

import google_crc32c

from hardmine.trainers.codec.streams.stream_header import SIDE_FLAGS, Header

CHUNK_OVERHEAD_BYTES = 8
_U32 = struct.Struct("<I")
_HIGHEST = 255


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
  """One iteration, or what stands beside them, as found in a file.

  Attributes:
    offset: of its first byte.
    payload: empty unless the chunk is whole.
    problem: None, `cut` (the file ends inside or before it) or `damaged`.
    size_bytes: in the file, frame and payload; of one that is damaged, as it says
      itself, and of one that is not there at all 0.
  """

  offset: int
  payload: bytes
  problem: str | None
  size_bytes: int = 0

  @property
  def end(self) -> int:
    """Where the next one begins."""
    return self.offset + self.size_bytes


def frame(head: bytes, number: int, payload: bytes) -> bytes:
  """A chunk of a file that begins with a header, as bytes."""
  length = _U32.pack(len(payload))
  return length + _U32.pack(_crc(head, number, length, payload)) + payload


def side_number(name: str) -> int:
  """What a side chunk's checksum covers in the place of an iteration's number."""
  return _HIGHEST - SIDE_FLAGS[name]


def read_side(data: bytes, header: Header) -> dict[str, Chunk]:
  """The side chunks, whole or not, in order."""
  offset, found = header.size_bytes, {}
  for name in header.side_in_order:
    sizes = (0, header.max_side_bytes(name))
    found[name] = _read(data, header, side_number(name), sizes, offset)
    offset = found[name].end
  return found


def read_iterations(
  data: bytes, header: Header, raw_bytes: Sequence[int], offset: int
) -> list[Chunk]:
  """The first chunks from an offset on, whole or not; raises nothing.

  Args:
    data: a file.
    header: of it.
    raw_bytes: of the raw bits of every iteration that is wanted, with its gains.
    offset: where iterations begin.

  Returns:
    One per iteration, in order. The size of raw bits is known, so those behind a
    damaged one are still found; of coded ones, if its length is not what is damaged.
  """
  found = []
  for number, most in enumerate(raw_bytes):
    least = header.num_gains if header.is_coded else most
    chunk = _read(data, header, number, (least, most), offset)
    found.append(chunk)
    offset = chunk.end
  return found


def _read(
  data: bytes, header: Header, number: int, sizes: tuple[int, int], offset: int
) -> Chunk:
  """A chunk whose payload has one of the sizes from the first to the second."""
  least, most = sizes
  length = data[offset : offset + _U32.size]
  start = offset + CHUNK_OVERHEAD_BYTES
  if len(length) < _U32.size:
    is_like = least < most or _U32.pack(most).startswith(length)
    problem = "cut" if is_like else "damaged"
    return Chunk(offset=offset, payload=b"", problem=problem)
  (size,) = _U32.unpack(length)
  if not least <= size <= most:
    # of equal sizes, the next one's place is known all the same
    step = CHUNK_OVERHEAD_BYTES + most if least == most else 0
    return Chunk(offset=offset, payload=b"", problem="damaged", size_bytes=step)
  size_bytes = CHUNK_OVERHEAD_BYTES + size
  if len(data) < start + size:
    return Chunk(offset=offset, payload=b"", problem="cut", size_bytes=size_bytes)
  payload = data[start : start + size]
  (crc,) = _U32.unpack_from(data, offset + _U32.size)
  if crc != _crc(data[: header.size_bytes], number, length, payload):
    return Chunk(offset=offset, payload=b"", problem="damaged", size_bytes=size_bytes)
  return Chunk(offset=offset, payload=payload, problem=None, size_bytes=size_bytes)


def _crc(head: bytes, number: int, length: bytes, payload: bytes) -> int:
  crc = google_crc32c.value(head[-_U32.size :] + bytes([number]) + length)
  return google_crc32c.extend(crc, payload)
