"""What was found in the file of a compressed image, its bits still packed."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import types
from collections.abc import Iterator, Mapping

import numpy as np

from hardmine.trainers.codec.entropy.coder import CodingError, EntropyCoder
from hardmine.trainers.codec.streams.height_map import by_tile, raw_sizes
from hardmine.trainers.codec.streams.stream_header import (
  BitstreamError,
  Header,
  check_entropy_model,
  code_grid,
)

MAX_GAIN = 63
_NO_SIDE: Mapping[str, bytes] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream:
  """A decoded stream.

  Attributes:
    header: as written; `header.iterations` counts the missing ones too.
    payloads: of the iterations that were there; one shorter than its `raw_bytes` is
      coded.
    num_missing: iterations that were asked for and lie beyond the end of the file.
    side: payloads of what goes along beside the iterations, by name.
    damaged_side: names of those that cannot be read.
    heights: uint8 [positions], how many iterations each has (`height_map`); None where
      each has all.
  """

  header: Header
  payloads: tuple[bytes, ...]
  num_missing: int
  side: Mapping[str, bytes] = _NO_SIDE
  damaged_side: tuple[str, ...] = ()
  heights: np.ndarray | None = None

  @property
  def iterations(self) -> int:
    """How many were there, of those that were asked for."""
    return len(self.payloads)

  @functools.cached_property
  def raw_bytes(self) -> list[int]:
    """Of every payload that is there, were it raw."""
    return raw_sizes(self.header, self.heights)[: self.iterations]

  @property
  def codes(self) -> np.ndarray:
    """uint8 {0, 1} [iterations, rows, columns, depth], of a picture that is whole.

    Those that positions do not have are 0.
    """
    return self.window(slice(None), slice(None))

  @property
  def gains(self) -> np.ndarray:
    """uint8 [iterations, tiles], k of each; zeros where the model sends none.

    [iterations] of a picture that is whole.
    """
    num_tiles = self.header.tiles.num_tiles
    gains = np.zeros((self.iterations, num_tiles), np.uint8)
    if self.header.sends_gains:
      starts = b"".join(one[:num_tiles] for one in self.payloads)
      gains = np.frombuffer(starts, np.uint8).reshape(self.iterations, num_tiles)
    return gains if self.header.tiling is not None else gains[:, 0]

  @property
  def is_coded(self) -> bool:
    """Bits cannot be had without the entropy model; see `with_raw_bits`."""
    return any(len(one) < size for one, size in zip(self.payloads, self.raw_bytes))

  def with_raw_bits(self, coder: EntropyCoder | None) -> Stream:
    """The same, decoded by an entropy model.

    Args:
      coder: of the model; None where there is none, as raw bits need none.

    Raises:
      BitstreamError: another one coded it, or what was coded cannot be.
    """
    header = self.header
    check_entropy_model(header, coder.entropy_id if coder else None)
    if coder is None or not self.is_coded:
      return self
    start = header.num_gains
    gains = self.gains.reshape(self.iterations, -1)
    bits: list[list[bytes]] = [[] for _ in self.payloads]
    try:
      decoding = coder.decoding(
        [one[start:] for one in self.payloads],
        [size - start for size in self.raw_bytes],
      )
      for index, ((rows, columns), heights) in enumerate(
        zip(header.tiles, self.tile_heights())
      ):
        shape = tile_shape(header, rows, columns)
        codes = decoding.next(shape, gains[:, index], heights)
        for number, (part, plane) in enumerate(zip(bits, codes)):
          part.append(packed_bits(plane, number, heights))
    except CodingError as error:
      raise BitstreamError(
        f"Expected bits that the entropy model can have coded. Received: {error}"
      ) from error
    payloads = tuple(
      one[:start] + b"".join(part) for one, part in zip(self.payloads, bits)
    )
    return dataclasses.replace(self, payloads=payloads)

  def tile_heights(self) -> Iterator[np.ndarray | None]:
    """Of every tile, [rows, columns], or None where all have all iterations."""
    if self.heights is None:
      yield from itertools.repeat(None, self.header.tiles.num_tiles)
    else:
      yield from by_tile(self.header, self.heights)

  def _packed(self, begin: int, end: int, starts: np.ndarray) -> np.ndarray:
    """Raw bits of some positions, in the order of the bits.

    Args:
      begin: of the first one.
      end: behind the last one.
      starts: int [iterations], of each payload's positions the first of them; becomes
        the first one behind them.

    Returns:
      uint8 [iterations, positions, bytes], zeros where there are none.
    """
    position = self.header.code_depth // 8
    if self.heights is None:
      planes = self._planes[:, begin * position : end * position]
      return planes.reshape(self.iterations, end - begin, position)
    found = np.zeros((self.iterations, end - begin, position), np.uint8)
    for number, payload in enumerate(self.payloads):
      plane = np.frombuffer(payload, np.uint8, offset=self.header.num_gains)
      there = self.heights[begin:end] > number
      after = starts[number] + np.count_nonzero(there)
      found[number, there] = plane.reshape(-1, position)[starts[number] : after]
      starts[number] = after
    return found

  @functools.cached_property
  def _planes(self) -> np.ndarray:
    """uint8 [iterations, bytes of raw bits], where every position has all of them."""
    joined = np.frombuffer(b"".join(self.payloads), np.uint8)
    return joined.reshape(self.iterations, -1)[:, self.header.num_gains :]

  def _require_raw(self) -> None:
    if self.is_coded:
      raise BitstreamError(
        f"Expected bits that entropy model {self.header.entropy_id.hex()} has decoded. "
        "Received: coded ones; call with_raw_bits first"
      )

  def window(self, rows: slice, columns: slice) -> np.ndarray:
    """Codes of some positions of a picture that is whole, unpacked alone."""
    self._require_raw()
    height, width = self.header.grid
    packed = self._packed(0, height * width, np.zeros(self.iterations, int))
    grid = packed.reshape(self.iterations, height, width, -1)
    return _unpacked(grid[:, rows, columns])

  def window_heights(self, rows: slice, columns: slice) -> np.ndarray | None:
    """Of the same positions."""
    if self.heights is None:
      return None
    return self.heights.reshape(self.header.grid)[rows, columns]

  def tiles(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Codes and gains of every tile, as the network takes them, one at a time."""
    self._require_raw()
    header, begin = self.header, 0
    starts = np.zeros(self.iterations, int)
    gains = self.gains.reshape(self.iterations, -1)
    for index, (rows, columns) in enumerate(header.tiles):
      shape = tile_shape(header, rows, columns)
      end = begin + shape[0] * shape[1]
      packed = self._packed(begin, end, starts).reshape(self.iterations, *shape, -1)
      yield _unpacked(packed), gains[:, index]
      begin = end

  @property
  def note(self) -> str | None:
    """One line about what is missing or damaged, or None."""
    notes = []
    if self.num_missing:
      found = self.iterations
      notes.append(
        f"the file is cut short: decoded {found} of {found + self.num_missing} "
        "iterations"
      )
    for name in self.damaged_side:
      notes.append(f"its {name.replace('_', ' ')} is damaged and left out")
    return "; ".join(notes) or None


def tile_shape(header: Header, rows: slice, columns: slice) -> tuple[int, int]:
  """Rows and columns of the code of a tile."""
  return code_grid(
    rows.stop - rows.start, columns.stop - columns.start, header.padding_px
  )


def packed_bits(plane: np.ndarray, number: int, heights: np.ndarray | None) -> bytes:
  """An iteration's raw bits of a tile.

  Args:
    plane: uint8 {0, 1} [rows, columns, depth].
    number: of the iteration, from 0 on.
    heights: uint8 [rows, columns]; None takes all positions.
  """
  there = plane if heights is None else plane[heights > number]
  return np.packbits(there.reshape(-1)).tobytes()


def _unpacked(packed: np.ndarray) -> np.ndarray:
  """uint8 [..., n] to {0, 1} [..., 8 * n]."""
  return np.unpackbits(packed, axis=-1)
