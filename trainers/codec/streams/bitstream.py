"""The file of a compressed image: a header, then one chunk per iteration.

Iterations refine one another, so any prefix that ends at a chunk is a whole,
coarser image. Integers are unsigned and little endian.

    header, 28 bytes, 32 in version 3 or 40 in version 4 (`stream_header`)
    side chunks, if its flags say so, and a chunk an iteration (`chunks`)

The payload of level 0 is the binary code of one iteration: [rows, columns, 32], or 16
of the networks of 2015, in that order, one bit each, the first in the highest bit of a
byte. The grid is rows = ceil(height / p) * p / 16 with padding p, columns likewise.
A bit is 1 where the network's value v > 0, else 0; the decoder reads 1 as +1, 0 as
-1. So every position takes four bytes, or two, and one iteration 1/8 or 1/16 bit per
padded pixel.

In version 2 one byte precedes them: k of the gain 2^(k/4) by which the encoder
multiplied the iteration's residual (`hardmine.trainers.codec.network.sent_gain`), 0 to
63.

In version 3 the picture is split into tiles (`hardmine.trainers.codec.streams.tiling`),
row by row from the upper left, each padded and coded as if it were a picture. A payload
holds one such byte of every tile, in order, where the header says that there are some;
then the binary codes of all tiles, in order. So a prefix of the file is a coarser
picture here too.

In version 4 the codes behind such bytes may be coded by an entropy model
(`hardmine.trainers.codec.entropy`), all tiles as one. A payload that is as long as raw
bits are is raw bits, so none is longer. With a height map (`height_map`) an iteration
holds only the positions that are higher than its number. What other side chunks hold is
for others to say.
docs/file_format.md is all of this for whoever writes a decoder.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.entropy.coder import EntropyCoder
from hardmine.trainers.codec.streams.chunks import CHUNK_OVERHEAD_BYTES, Chunk
from hardmine.trainers.codec.streams.height_map import by_tile, check_heights
from hardmine.trainers.codec.streams.packing import (
  Packing,
  assembled,
  check_codes,
  least,
)
from hardmine.trainers.codec.streams.stream import Stream, tile_shape
from hardmine.trainers.codec.streams.stream_header import (
  HEADER_BYTES,
  HEIGHT_MAP,
  MAX_ITERATIONS,
  MAX_PIXELS,
  RAW,
  BitstreamError,
  Header,
  check_entropy_model,
  check_model,
  code_grid,
  read_header,
)
from hardmine.trainers.codec.streams.unpacking import (
  has_wrong_gain,
  read_chunks,
  unpack,
)

__all__ = [
  "CHUNK_OVERHEAD_BYTES",
  "HEADER_BYTES",
  "MAX_ITERATIONS",
  "MAX_PIXELS",
  "RAW",
  "BitstreamError",
  "Chunk",
  "Header",
  "Stream",
  "check_entropy_model",
  "check_model",
  "code_grid",
  "cut",
  "growing",
  "has_wrong_gain",
  "pack",
  "pack_tiles",
  "prefix_bytes",
  "read_chunks",
  "read_header",
  "unpack",
]


def pack(header: Header, codes: np.ndarray, gains: np.ndarray | None = None) -> bytes:
  """Writes a stream of a picture that is whole; `unpack` is its inverse.

  Args:
    header: its sizes and iterations must be those of `codes`.
    codes: uint8 {0, 1} [iterations, rows, columns, depth].
    gains: uint8 [iterations], where the header says that there are some.

  Raises:
    ValueError: another shape or type, or values other than 0 and 1.
  """
  return pack_tiles(header, [(codes, gains)])


def pack_tiles(
  header: Header,
  tiles: Iterable[tuple[np.ndarray, np.ndarray | None]],
  side: Mapping[str, bytes] | None = None,
  coder: EntropyCoder | None = None,
  heights: np.ndarray | None = None,
) -> bytes:
  """Writes a stream; `unpack` is its inverse.

  Args:
    header: its sizes and iterations must be those of the tiles; what it says of side
      chunks and of entropy coding is replaced by what is given here.
    tiles: codes and gains of each, as `pack` takes them, in the order of
      `header.tiles`; taken one at a time, and only their bits are kept.
    side: payloads of side chunks by their names among `SIDE_FLAGS`, but for the height
      map's.
    coder: makes the bits fewer; None leaves them as they are. Where nothing becomes
      smaller, the file is one of raw bits.
    heights: uint8 [positions], how many iterations each has, in the order of the bits
      (`height_map`); what codes say beyond is not written. None writes all.

  Raises:
    ValueError: another shape or type, values other than 0 and 1, or a side chunk that
      is too large.
  """
  require(HEIGHT_MAP not in (side or {}), "heights as what they are", side=HEIGHT_MAP)
  heights = _told_heights(header, heights)
  packing = Packing(header, side or {}, coder, heights)
  all_or_some = (
    itertools.repeat(None, header.tiles.num_tiles)
    if heights is None
    else by_tile(header, heights)
  )
  for (rows, columns), higher, (codes, gains) in zip(
    header.tiles, all_or_some, tiles, strict=True
  ):
    shape = tile_shape(header, rows, columns)
    check_codes(codes, (header.iterations, *shape, header.code_depth))
    packing.add(codes, gains, higher)
  return packing.file(header.iterations)


def growing(
  header: Header,
  planes: Iterable[tuple[np.ndarray, int]],
  side: Mapping[str, bytes],
  coder: EntropyCoder | None,
) -> Iterator[bytes]:
  """The files of 1, 2, ... iterations of a picture that is whole, each when asked for.

  Args:
    header: of its iterations, the most that there may be; see `pack_tiles`.
    planes: codes and gain of every iteration, as `CodingNetwork.planes` gives them.
    side: see `pack_tiles`.
    coder: likewise.

  Yields:
    What `pack_tiles` gives of so many iterations.
  """
  packing = Packing(header, side, coder)
  shape = (*header.grid, header.code_depth)
  codes = np.zeros((header.iterations, *shape), np.uint8)
  gains = np.zeros(header.iterations, np.uint8)
  for number, (plane, gain) in enumerate(planes):
    check_codes(plane, shape)
    codes[number], gains[number] = plane, gain
    there = number + 1
    packing.add(codes[:there], gains[:there], first=number)
    yield packing.file(there)


def cut(data: bytes, iterations: int) -> bytes:
  """A whole file of fewer iterations, as if no more had been written.

  Args:
    data: a file of `pack_tiles`.
    iterations: 1 to as many as are there whole.

  Raises:
    BitstreamError: see `unpack`.
    ValueError: more iterations asked for than are there, or none.
  """
  stream = unpack(data, iterations)
  require(
    stream.iterations == iterations,
    f"1 to {stream.iterations} iterations, as many as are there",
    iterations=iterations,
  )
  _require_whole_side(stream)
  header, heights = _beginning(stream, iterations)
  return assembled(header, stream.side, stream.payloads, heights)


def prefix_bytes(data: bytes) -> list[int]:
  """Bytes of the file that `cut` gives, for 1, 2, ... iterations that are there.

  Raises:
    BitstreamError: see `unpack`.
  """
  stream = unpack(data)
  _require_whole_side(stream)
  sizes = []
  for iterations in range(1, stream.iterations + 1):
    header, heights = _beginning(stream, iterations)
    part = stream.payloads[:iterations]
    header, side = least(header, stream.side, part, heights)
    size = header.size_bytes
    sizes.append(
      size + sum(CHUNK_OVERHEAD_BYTES + len(one) for one in [*side.values(), *part])
    )
  return sizes


def _beginning(stream: Stream, iterations: int) -> tuple[Header, np.ndarray | None]:
  """Header and heights of the first iterations."""
  header = dataclasses.replace(
    stream.header, iterations=iterations, side=frozenset(stream.side)
  )
  heights = stream.heights
  return header, None if heights is None else _told_heights(
    header, np.minimum(heights, iterations).astype(np.uint8)
  )


def _told_heights(header: Header, heights: np.ndarray | None) -> np.ndarray | None:
  """None where all are of one height, which the header says."""
  if heights is None:
    return None
  check_heights(header, heights)
  return None if heights.min() == heights.max() else heights


def _require_whole_side(stream: Stream) -> None:
  if stream.damaged_side:
    raise BitstreamError(
      "Expected an undamaged stream, as a part of one is written anew. Received: "
      f"damaged {', '.join(stream.damaged_side)}"
    )
