"""The file of a compressed image: a header, then one chunk per iteration.

Iterations refine one another, so any prefix that ends at a chunk is a whole,
coarser image. Integers are unsigned and little endian.

    header, 28 bytes, or 32 in version 3 (`stream_header`)

    chunk, 8 bytes + payload, for iteration i = 0, 1, ...
      0   4  bytes of the payload
      4   4  CRC32C of: the header's CRC (4 bytes), i (1 byte), the four bytes of
             the payload's length, the payload
      8      payload

A chunk's checksum covers the header's and its own number, so chunks that were
swapped, doubled or taken from another file are noticed, not just flipped bits.

The payload of level 0 is the binary code of one iteration: [rows, columns, 32]
in that order, one bit each, the first in the highest bit of a byte. The grid is
rows = ceil(height / p) * p / 16 with padding p, columns likewise. A bit is 1
where the network's value v > 0, else 0; the decoder reads 1 as +1, 0 as -1. So
every position takes four bytes, and one iteration 1/8 bit per padded pixel.

In version 2 one byte precedes them: k of the gain 2^(k/4) by which the encoder
multiplied the iteration's residual (`hardmine.trainers.codec.sent_gain`), 0 to 63.

In version 3 the picture is split into tiles (`hardmine.trainers.codec.tiling`), row by
row from the upper left, each padded and coded as if it were a picture. A payload holds
one such byte of every tile, in order, where the header says that there are some; then
the binary codes of all tiles, in order. So a prefix of the file is a coarser picture
here too.

Higher levels are for entropy coders (`trainers/codec/entropy`); a reader that
does not know a level refuses it.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable

import google_crc32c
import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.schemas.config import require
from hardmine.trainers.codec.stream import Stream, tile_shape
from hardmine.trainers.codec.stream_header import (
  HEADER_BYTES,
  MAX_ITERATIONS,
  MAX_PIXELS,
  RAW,
  BitstreamError,
  Header,
  check_model,
  code_grid,
  pack_header,
  read_header,
)

__all__ = [
  "HEADER_BYTES",
  "MAX_ITERATIONS",
  "MAX_PIXELS",
  "RAW",
  "BitstreamError",
  "Chunk",
  "Header",
  "Stream",
  "check_model",
  "code_grid",
  "has_wrong_gain",
  "pack",
  "pack_tiles",
  "read_chunks",
  "read_header",
  "unpack",
]

MAX_GAIN = 63
CHUNK_OVERHEAD_BYTES = 8

_U32 = struct.Struct("<I")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
  """One iteration as found in a file.

  Attributes:
    offset: of its first byte.
    payload: empty unless the chunk is whole.
    problem: None, `cut` (the file ends inside or before it) or `damaged`.
  """

  offset: int
  payload: bytes
  problem: str | None


def pack(header: Header, codes: np.ndarray, gains: np.ndarray | None = None) -> bytes:
  """Writes a stream of a picture that is whole; `unpack` is its inverse.

  Args:
    header: its sizes and iterations must be those of `codes`.
    codes: uint8 {0, 1} [iterations, rows, columns, 32].
    gains: uint8 [iterations], where the header says that there are some.

  Raises:
    ValueError: another shape or type, or values other than 0 and 1.
  """
  return pack_tiles(header, [(codes, gains)])


def pack_tiles(
  header: Header, tiles: Iterable[tuple[np.ndarray, np.ndarray | None]]
) -> bytes:
  """Writes a stream; `unpack` is its inverse.

  Args:
    header: its sizes and iterations must be those of the tiles.
    tiles: codes and gains of each, as `pack` takes them, in the order of
      `header.tiles`; taken one at a time, and only their bits are kept.

  Raises:
    ValueError: another shape or type, or values other than 0 and 1.
  """
  gains: list[list[bytes]] = [[] for _ in range(header.iterations)]
  bits: list[list[bytes]] = [[] for _ in range(header.iterations)]
  for (rows, columns), (codes, exponents) in zip(header.tiles, tiles, strict=True):
    _check_codes(codes, (header.iterations, *tile_shape(header, rows, columns)))
    packed = np.packbits(codes.reshape(len(codes), -1), axis=1)
    sent = _checked_gains(exponents, len(codes)) if header.sends_gains else None
    for index in range(header.iterations):
      bits[index].append(packed[index].tobytes())
      if sent is not None:
        gains[index].append(sent[index].tobytes())
  head = pack_header(header)
  parts = [head]
  for index in range(header.iterations):
    content = b"".join((*gains[index], *bits[index]))
    length = _U32.pack(len(content))
    parts += [length, _U32.pack(_chunk_crc(head, index, length, content)), content]
  return b"".join(parts)


def unpack(data: bytes, iterations: int | None = None) -> Stream:
  """Reads a stream, or as much of it as is there.

  Args:
    data: a file of `pack`, whole or cut anywhere behind its first chunk.
    iterations: only the first so many; bytes behind them are not looked at, so
      the intact beginning of a damaged file can be read. None reads all.

  Raises:
    BitstreamError: not a stream, a newer one, damaged, bytes behind its end, or
      not even one whole iteration. Nothing larger than `data` itself (times 8,
      a byte for every bit) is allocated before this is known.
    ValueError: more iterations asked for than were written, or none.
  """
  header = read_header(data)
  require(
    iterations is None or 1 <= iterations <= header.iterations,
    f"1 to {header.iterations} iterations, as many as were written",
    iterations=iterations,
  )
  wanted = header.iterations if iterations is None else iterations
  whole: list[bytes] = []
  for chunk in read_chunks(data, header, wanted):
    if chunk.problem == "damaged":
      remedy = f"; --iterations {len(whole)} decodes those before" if whole else ""
      raise BitstreamError(
        f"Expected an undamaged stream. Received: iteration {len(whole) + 1} of "
        f"{header.iterations} is damaged{remedy}"
      )
    if chunk.problem is None:
      whole.append(chunk.payload)
  if not whole:
    raise BitstreamError(
      "Expected at least one whole iteration. Received: a file cut after "
      f"{len(data)} bytes, where the first ends at {_chunk_offset(header, 1)}"
    )
  if iterations is None:
    _refuse_trailing_bytes(data, header)
  payloads = np.frombuffer(b"".join(whole), np.uint8).reshape(len(whole), -1)
  stream = Stream(header=header, payloads=payloads, num_missing=wanted - len(whole))
  if stream.gains.max() > MAX_GAIN:
    raise BitstreamError(
      f"Expected gains of 0 to {MAX_GAIN}. Received: {stream.gains.max()}"
    )
  return stream


def read_chunks(data: bytes, header: Header, iterations: int) -> list[Chunk]:
  """Looks at the first chunks, whole or not; raises nothing.

  Returns:
    One per iteration, in order. Level 0 has chunks of one size, so those behind a
    damaged one are still found.
  """
  head, payload_bytes = data[: header.size_bytes], header.payload_bytes
  return [
    _read_chunk(data, head, payload_bytes, index, _chunk_offset(header, index))
    for index in range(iterations)
  ]


def has_wrong_gain(chunk: Chunk, header: Header) -> bool:
  """Whether a chunk that arrived as it was written says what no encoder says."""
  return any(gain > MAX_GAIN for gain in chunk.payload[: header.num_gains])


def _chunk_offset(header: Header, index: int) -> int:
  """Where a chunk begins; that behind the last ends the file."""
  return header.size_bytes + index * (CHUNK_OVERHEAD_BYTES + header.payload_bytes)


def _check_codes(codes: np.ndarray, shape: tuple[int, int, int]) -> None:
  expected = (*shape, CODE_DEPTH)
  require(
    codes.shape == expected and codes.dtype == np.uint8,
    f"codes as uint8 {list(expected)}",
    shape=codes.shape,
    dtype=str(codes.dtype),
  )
  require(codes.max() <= 1, "codes of 0 and 1", maximum=int(codes.max()))


def _checked_gains(gains: np.ndarray | None, iterations: int) -> np.ndarray:
  if gains is None or gains.shape != (iterations,) or gains.dtype != np.uint8:
    raise ValueError(
      f"Expected gains as uint8 [{iterations}]. Received: gains={gains!r}"
    )
  require(
    gains.max() <= MAX_GAIN, f"gains of 0 to {MAX_GAIN}", maximum=int(gains.max())
  )
  return gains


def _chunk_crc(head: bytes, index: int, length: bytes, payload: bytes) -> int:
  crc = google_crc32c.value(head[-_U32.size :] + bytes([index]) + length)
  return google_crc32c.extend(crc, payload)


def _read_chunk(
  data: bytes, head: bytes, payload_bytes: int, index: int, offset: int
) -> Chunk:
  length = data[offset : offset + _U32.size]
  start = offset + CHUNK_OVERHEAD_BYTES
  payload = data[start : start + payload_bytes]
  if not _U32.pack(payload_bytes).startswith(length):
    return Chunk(offset=offset, payload=b"", problem="damaged")
  if len(payload) < payload_bytes:
    return Chunk(offset=offset, payload=b"", problem="cut")
  (crc,) = _U32.unpack(data[offset + _U32.size : start])
  if crc != _chunk_crc(head, index, length, payload):
    return Chunk(offset=offset, payload=b"", problem="damaged")
  return Chunk(offset=offset, payload=payload, problem=None)


def _refuse_trailing_bytes(data: bytes, header: Header) -> None:
  expected = _chunk_offset(header, header.iterations)
  if len(data) > expected:
    raise BitstreamError(
      f"Expected {expected} bytes. Received: {len(data)}, with something behind the "
      "last iteration"
    )
