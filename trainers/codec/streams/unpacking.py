"""Reads the file of a compressed image, or as much of it as is there."""

from __future__ import annotations

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.streams.chunks import Chunk, read_iterations, read_side
from hardmine.trainers.codec.streams.height_map import (
  HeightMapError,
  raw_sizes,
  unpack_heights,
)
from hardmine.trainers.codec.streams.stream import MAX_GAIN, Stream
from hardmine.trainers.codec.streams.stream_header import (
  HEIGHT_MAP,
  BitstreamError,
  Header,
  read_header,
)


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
  side, damaged_side, offset = _side_of(data, header)
  heights = _heights_of(header, side)
  raw_bytes = raw_sizes(header, heights)[:wanted]
  chunks = read_iterations(data, header, raw_bytes, offset)
  whole = _whole_payloads(data, header, chunks, damaged_side)
  if iterations is None and chunks[-1].problem is None:
    _refuse_trailing_bytes(data, chunks[-1].end)
  stream = Stream(
    header=header,
    payloads=tuple(whole),
    num_missing=wanted - len(whole),
    side=side,
    damaged_side=damaged_side,
    heights=heights,
  )
  if stream.gains.max() > MAX_GAIN:
    raise BitstreamError(
      f"Expected gains of 0 to {MAX_GAIN}. Received: {stream.gains.max()}"
    )
  return stream


def read_chunks(data: bytes, header: Header, iterations: int) -> list[Chunk]:
  """Looks at the first iterations, whole or not; raises nothing.

  Returns:
    One per iteration, in order; see `chunks.read_iterations`. Without a whole height
    map all are damaged.
  """
  side = read_side(data, header)
  offset = max([header.size_bytes, *(one.end for one in side.values())])
  whole = {name: one.payload for name, one in side.items() if one.problem is None}
  try:
    heights = _heights_of(header, whole)
  except BitstreamError:
    return [Chunk(offset=offset, payload=b"", problem="damaged")] * iterations
  return read_iterations(data, header, raw_sizes(header, heights)[:iterations], offset)


def has_wrong_gain(chunk: Chunk, header: Header) -> bool:
  """Whether a chunk that arrived as it was written says what no encoder says."""
  return any(gain > MAX_GAIN for gain in chunk.payload[: header.num_gains])


def _side_of(
  data: bytes, header: Header
) -> tuple[dict[str, bytes], tuple[str, ...], int]:
  """Side payloads, the names of those that are damaged, and where iterations begin."""
  whole, damaged, offset = {}, [], header.size_bytes
  for name, chunk in read_side(data, header).items():
    offset = chunk.end
    if chunk.problem is None:
      whole[name] = chunk.payload
      continue
    told = name.replace("_", " ")
    if chunk.problem == "cut":
      raise BitstreamError(
        "Expected at least one whole iteration. Received: a file cut after "
        f"{len(data)} bytes, in its {told}"
      )
    if name == HEIGHT_MAP or not chunk.size_bytes:
      raise BitstreamError(
        f"Expected an undamaged stream. Received: its {told} is damaged, and nothing "
        "behind it can be read without"
      )
    damaged.append(name)
  return whole, tuple(damaged), offset


def _heights_of(header: Header, side: dict[str, bytes]) -> np.ndarray | None:
  """What the height map tells, which is taken out of `side`."""
  if HEIGHT_MAP not in header.side:
    return None
  try:
    return unpack_heights(header, side.pop(HEIGHT_MAP, b""))
  except HeightMapError as error:
    raise BitstreamError(str(error)) from error


def _whole_payloads(
  data: bytes, header: Header, chunks: list[Chunk], damaged_side: tuple[str, ...]
) -> list[bytes]:
  """Of the iterations before the file was cut; raises where one is damaged, or none."""
  whole: list[bytes] = []
  for chunk in chunks:
    if chunk.problem == "damaged":
      remedy = f"; --iterations {len(whole)} decodes those before" if whole else ""
      also = f", as is its {', '.join(damaged_side)}" if damaged_side else ""
      raise BitstreamError(
        f"Expected an undamaged stream. Received: iteration {len(whole) + 1} of "
        f"{header.iterations} is damaged{also}{remedy}"
      )
    if chunk.problem == "cut":
      break
    whole.append(chunk.payload)
  if not whole:
    first = chunks[0]
    ends = f", where the first ends at {first.end}" if first.size_bytes else ""
    raise BitstreamError(
      "Expected at least one whole iteration. Received: a file cut after "
      f"{len(data)} bytes{ends}"
    )
  return whole


def _refuse_trailing_bytes(data: bytes, expected: int) -> None:
  if len(data) > expected:
    raise BitstreamError(
      f"Expected {expected} bytes. Received: {len(data)}, with something behind the "
      "last iteration"
    )
