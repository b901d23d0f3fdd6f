"""Large pictures through a codec's network, a tile at a time.

What is split into tiles by its stream is coded so. A stream of before, with one grid of
codes for a large picture, is decoded in windows instead: a window's codes reach beyond
the pixels that are taken from it by what decoding can see, so those are what decoding
everything at once would give, but for how sums of floats round.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.trainers.codec.running.coding_network import CodingNetwork
from hardmine.trainers.codec.streams.stream import Stream
from hardmine.trainers.codec.streams.tiling import MULTIPLE_PX, Grid, Window, assemble


def encode_tiles(
  network: CodingNetwork,
  image: np.ndarray,
  grid: Grid,
  iterations: int,
  heights: Iterable[np.ndarray | None] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Codes and gains of every tile, in order; see `CodingNetwork.encode`."""
  of_tiles = itertools.repeat(None) if heights is None else heights
  for (rows, columns), higher in zip(grid, of_tiles):
    yield network.encode(image[rows, columns], iterations, higher)


def decode_tiles(network: CodingNetwork, stream: Stream) -> np.ndarray:
  """The picture of a stream that is split, uint8 [height_px, width_px, 3]."""
  grid = stream.header.tiles
  return assemble(
    grid,
    (
      network.decode(
        codes, gains, rows.stop - rows.start, columns.stop - columns.start, heights
      )
      for (rows, columns), (codes, gains), heights in zip(
        grid, stream.tiles(), stream.tile_heights()
      )
    ),
  )


def reconstruct_tiles(
  network: CodingNetwork, image: np.ndarray, grid: Grid, iterations: int
) -> np.ndarray:
  """uint8 [iterations, h, w, 3]: what decoding gives after every iteration."""
  return assemble(
    grid,
    (network.reconstruct(image[rows, columns], iterations) for rows, columns in grid),
  )


def decode_windows(
  network: CodingNetwork, stream: Stream, window: Window
) -> np.ndarray:
  """The picture of a stream that is not split, as decoding it whole gives it.

  Args:
    network: that wrote it.
    stream: of one grid of codes.
    window: how much is decoded at once.
  """
  header = stream.header
  height_px, width_px = header.height_px, header.width_px
  picture = np.empty((height_px, width_px, 3), np.uint8)
  for rows in _cores(height_px, window.core_px):
    for columns in _cores(width_px, window.core_px):
      seen = (
        _widened(rows, window.reach_px, height_px),
        _widened(columns, window.reach_px, width_px),
      )
      blocks = [_blocks(side) for side in seen]
      decoded = network.decode(
        stream.window(*blocks),
        stream.gains,
        seen[0].stop - seen[0].start,
        seen[1].stop - seen[1].start,
        stream.window_heights(*blocks),
      )
      top, left = rows.start - seen[0].start, columns.start - seen[1].start
      picture[rows, columns] = decoded[
        top : top + rows.stop - rows.start, left : left + columns.stop - columns.start
      ]
  return picture


def _cores(length_px: int, core_px: int) -> Iterator[slice]:
  for begin in range(0, length_px, core_px):
    yield slice(begin, min(begin + core_px, length_px))


def _widened(side: slice, reach_px: int, end_px: int) -> slice:
  """By the reach and to whole blocks of either padding, inside the picture."""
  begin = max(0, side.start - reach_px) // MULTIPLE_PX * MULTIPLE_PX
  end = -(-(side.stop + reach_px) // MULTIPLE_PX) * MULTIPLE_PX
  return slice(begin, min(end, end_px))


def _blocks(side: slice) -> slice:
  """The code positions of pixels; a picture's end may be anywhere in its last one."""
  blocks = MULTIPLE_PX // STRIDE_PX
  end = -(-side.stop // MULTIPLE_PX) * blocks
  return slice(side.start // STRIDE_PX, end)
