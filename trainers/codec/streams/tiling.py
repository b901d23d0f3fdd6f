"""Where the tiles of a large picture lie, and how they become one picture again.

Along each side of S pixels, with tiles of at most T that overlap by V:

    n = ceil((S - V) / (T - V))                   1 where S <= T
    side = ceil((S - V) / n + V), to a multiple of 32
    step = side - V                               tile i begins at i * step

and the last tile ends with the picture. So tiles are of nearly equal size, and both
sides of a stream compute the same grid from four numbers.

Where two tiles overlap, the weight of the second rises by equal steps across the
overlap and the weights add up to one: first along the rows, then down the columns. Of
a smooth surface two tiles may say slightly different levels after few iterations, so
the mean difference in the overlap is taken out by halves, from nothing at `_FADE_PX`
before the overlap to nothing at as many behind it. All in whole numbers, so that every
machine rounds alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require

MULTIPLE_PX = 2 * STRIDE_PX  # of a tile's sides: whole blocks with either padding
MAX_TILE_PX = 1 << 15
MAX_OVERLAP_PX = 254


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
  """How a picture is split.

  Attributes:
    tile_px: the longest side of a tile, a multiple of 32.
    overlap_px: that neighbours share, even, at most half of a tile.
  """

  tile_px: int
  overlap_px: int

  def __post_init__(self):
    require(
      MULTIPLE_PX <= self.tile_px <= MAX_TILE_PX and self.tile_px % MULTIPLE_PX == 0,
      f"tiles of {MULTIPLE_PX} to {MAX_TILE_PX} px, a multiple of {MULTIPLE_PX}",
      tile_px=self.tile_px,
    )
    most = min(MAX_OVERLAP_PX, self.tile_px // 2)
    require(
      0 <= self.overlap_px <= most and self.overlap_px % 2 == 0,
      f"an even overlap of 0 to {most} px",
      overlap_px=self.overlap_px,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splitting:
  """Which pictures are split.

  Attributes:
    max_whole_px: those of more pixels than this, sides rounded up to 32.
    tiling: how.
  """

  max_whole_px: int
  tiling: Tiling

  def of(self, height_px: int, width_px: int) -> Tiling | None:
    """The tiling of a picture; None where it stays whole."""
    rounded = (_rounded_up(side_px, MULTIPLE_PX) for side_px in (height_px, width_px))
    return self.tiling if math.prod(rounded) > self.max_whole_px else None


_FADE_PX = 64  # over which a step between neighbours is spread, on either side
_MOST_APART = 24  # of 255: a larger step is no matter of levels

# One for all machines, as bytes may not depend on anybody's memory.
USUAL = Splitting(max_whole_px=1 << 20, tiling=Tiling(tile_px=1024, overlap_px=32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spans:
  """The tiles along one side of a picture.

  Attributes:
    length_px: of the picture's side.
    num_tiles: along it.
    side_px: of each tile but the last, whose end is the picture's.
    step_px: from the beginning of one to that of the next.
  """

  length_px: int
  num_tiles: int
  side_px: int
  step_px: int

  @classmethod
  def along(cls, length_px: int, tiling: Tiling | None) -> Spans:
    """The spans of a side; one for the whole of it without a tiling."""
    if tiling is None or length_px <= tiling.tile_px:
      return cls(length_px=length_px, num_tiles=1, side_px=length_px, step_px=length_px)
    overlap_px = tiling.overlap_px
    new_px = length_px - overlap_px
    num_tiles = -(-new_px // (tiling.tile_px - overlap_px))
    side_px = _rounded_up(-(-new_px // num_tiles) + overlap_px, MULTIPLE_PX)
    step_px = side_px - overlap_px
    return cls(
      length_px=length_px,
      num_tiles=-(-new_px // step_px),  # rounding up the sides may save one
      side_px=side_px,
      step_px=step_px,
    )

  def __iter__(self) -> Iterator[slice]:
    for begin in range(0, self.num_tiles * self.step_px, self.step_px):
      yield slice(begin, min(begin + self.side_px, self.length_px))

  def padded_px(self, padding_px: int) -> int:
    """The sum of all sides, each rounded up to a multiple; makes no list of them."""
    last_px = self.length_px - (self.num_tiles - 1) * self.step_px
    return (self.num_tiles - 1) * _rounded_up(self.side_px, padding_px) + _rounded_up(
      last_px, padding_px
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
  """The tiles of a picture, row by row from the upper left.

  Attributes:
    rows: their vertical extents.
    columns: their horizontal ones.
    overlap_px: that neighbours share.
  """

  rows: Spans
  columns: Spans
  overlap_px: int

  @classmethod
  def over(cls, height_px: int, width_px: int, tiling: Tiling | None) -> Grid:
    """The grid of a picture, of one tile without a tiling."""
    return cls(
      rows=Spans.along(height_px, tiling),
      columns=Spans.along(width_px, tiling),
      overlap_px=tiling.overlap_px if tiling else 0,
    )

  @property
  def num_tiles(self) -> int:
    """Rows times columns."""
    return self.rows.num_tiles * self.columns.num_tiles

  @property
  def largest_px(self) -> int:
    """Pixels of the largest tile."""
    return self.rows.side_px * self.columns.side_px

  def __iter__(self) -> Iterator[tuple[slice, slice]]:
    for rows in self.rows:
      for columns in self.columns:
        yield rows, columns

  def num_positions(self, padding_px: int) -> int:
    """Of the codes of all tiles, each padded by itself; makes no list of them."""
    height_px, width_px = (
      spans.padded_px(padding_px) for spans in (self.rows, self.columns)
    )
    return height_px * width_px // STRIDE_PX**2


def reach_px(known: Sequence[int], iterations: int) -> int | None:
  """How far from a pixel lie the codes that it follows from; None where nobody knows.

  Args:
    known: after 1, 2, ... iterations; each further one adds what the last one added.
    iterations: that are decoded.
  """
  if iterations <= len(known):
    return known[iterations - 1]
  if len(known) < 2:
    return None
  return known[-1] + (iterations - len(known)) * (known[-1] - known[-2])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
  """How much of one grid of codes is decoded at once.

  Attributes:
    reach_px: how far from a pixel lie the codes that it follows from.
    tile_px: the longest side of a tile of the same picture, were it split.
  """

  reach_px: int
  tile_px: int

  @property
  def core_px(self) -> int:
    """Side of the pixels that are kept: whatever the reach leaves, or half a tile."""
    left_px = max(self.tile_px - 2 * self._margin_px, self.tile_px // 2)
    return max(MULTIPLE_PX, left_px // MULTIPLE_PX * MULTIPLE_PX)

  @property
  def side_px(self) -> int:
    """The longest side of what is decoded for them."""
    return self.core_px + 2 * self._margin_px

  @property
  def _margin_px(self) -> int:
    return _rounded_up(self.reach_px, MULTIPLE_PX)


def assemble(grid: Grid, tiles: Iterable[np.ndarray]) -> np.ndarray:
  """The picture of its tiles, blended where they overlap.

  Args:
    grid: where they lie.
    tiles: uint8 [..., height, width, 3] in the grid's order, taken one at a time.

  Returns:
    uint8 [..., height_px, width_px, 3], the only large array that is held.
  """
  height_px, width_px = grid.rows.length_px, grid.columns.length_px
  overlap_px, given = grid.overlap_px, iter(tiles)
  first = next(given)
  if grid.num_tiles == 1:
    return first
  picture = np.empty((*first.shape[:-3], height_px, width_px, 3), np.uint8)
  for rows in grid.rows:
    shared = slice(rows.start, rows.start + overlap_px)
    above = picture[..., shared, :, :].copy() if rows.start else None
    for columns in grid.columns:
      tile = first if rows.start == columns.start == 0 else next(given)
      begin, strip = columns.start, picture[..., rows, :, :]
      left = strip[..., begin : begin + overlap_px, :].copy() if begin else None
      strip[..., columns, :] = tile
      if left is not None:
        _join(np.swapaxes(strip, -3, -2), np.swapaxes(left, -3, -2), begin)
    if above is not None:
      _join(picture[..., : rows.stop, :, :], above, rows.start)
  return picture


def _join(picture: np.ndarray, before: np.ndarray, begin: int) -> None:
  """Blends two neighbours and levels them, in place.

  Args:
    picture: uint8 [..., rows, columns, 3], in which the second lies over the first.
    before: uint8 [..., overlap, columns, 3], what the first says of the overlap.
    begin: the overlap's first row.
  """
  overlap_px = before.shape[-3]
  if not overlap_px:
    return
  shared = slice(begin, begin + overlap_px)
  after = picture[..., shared, :, :].astype(np.int32)
  apart = _smoothed(
    after - before
  )  # of the second from the first, [..., 1, columns, 3]
  weights = np.arange(1, 2 * overlap_px, 2, dtype=np.int32)[:, None, None]
  whole = 2 * overlap_px
  mixed = before * (whole - weights) + after * weights
  # half of the step goes to either side, so what is blended here is level
  mixed += apart * (whole // 2 - weights)
  picture[..., shared, :, :] = _to_pixels(mixed, whole)
  fade = np.arange(1, 2 * _FADE_PX, 2, dtype=np.int32)[:, None, None]
  for rows, share in (
    (slice(max(0, begin - _FADE_PX), begin), fade[-begin:]),
    (slice(shared.stop, shared.stop + _FADE_PX), -fade[::-1]),
  ):
    side = picture[..., rows, :, :]
    size = 4 * _FADE_PX
    share = share[: side.shape[-3]]
    side[...] = _to_pixels(side.astype(np.int32) * size + apart * share, size)


def _smoothed(difference: np.ndarray) -> np.ndarray:
  """Means over the overlap and over `_FADE_PX` along it, at most `_MOST_APART`."""
  sums = difference.sum(axis=-3, keepdims=True)
  width = sums.shape[-2]
  ends = np.cumsum(sums, axis=-2)
  total = np.concatenate([np.zeros_like(ends[..., :1, :]), ends], axis=-2)
  low = np.maximum(np.arange(width) - _FADE_PX // 2, 0)
  high = np.minimum(np.arange(width) + _FADE_PX // 2 + 1, width)
  count = ((high - low) * difference.shape[-3])[:, None]
  apart = (total[..., high, :] - total[..., low, :] + count // 2) // count
  return np.clip(apart, -_MOST_APART, _MOST_APART).astype(np.int32)


def _to_pixels(values: np.ndarray, whole: int) -> np.ndarray:
  return np.clip((values + whole // 2) // whole, 0, 255).astype(np.uint8)


def _rounded_up(length_px: int, multiple_px: int) -> int:
  return -(-length_px // multiple_px) * multiple_px
