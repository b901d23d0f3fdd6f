"""Large pictures through a codec's network, a tile at a time.

What is split into tiles by its stream is coded so. A stream of before, with one grid of
codes for a large picture, is decoded in windows instead: a window's codes reach beyond
the pixels that are taken from it by what decoding can see, so those are what decoding
everything at once would give, but for how sums of floats round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.trainers.codec.coding_network import CodingNetwork
from hardmine.trainers.codec.stream import Stream
from hardmine.trainers.codec.tiling import MULTIPLE_PX, Grid, assemble


def encode_tiles(
  network: CodingNetwork, image: np.ndarray, grid: Grid, iterations: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Codes and gains of every tile, in order; see `CodingNetwork.encode`."""
  for rows, columns in grid:
    yield network.encode(image[rows, columns], iterations)


def decode_tiles(network: CodingNetwork, stream: Stream) -> np.ndarray:
  """The picture of a stream that is split, uint8 [height_px, width_px, 3]."""
  grid = stream.header.tiles
  return assemble(
    grid,
    (
      network.decode(codes, gains, rows.stop - rows.start, columns.stop - columns.start)
      for (rows, columns), (codes, gains) in zip(grid, stream.tiles())
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
  network: CodingNetwork, stream: Stream, reach_px: int, window_px: int
) -> np.ndarray:
  """The picture of a stream that is not split, as decoding it whole gives it.

  Args:
    network: that wrote it.
    stream: of one grid of codes.
    reach_px: how far from a pixel lies what it depends on.
    window_px: about the longest side of what is decoded at once.
  """
  header = stream.header
  sides_px = header.height_px, header.width_px
  core_px = max(MULTIPLE_PX, window_px - 2 * reach_px)
  picture = np.empty((*sides_px, 3), np.uint8)
  for core in _boxes(sides_px, core_px):
    window = [_widened(side, reach_px, end) for side, end in zip(core, sides_px)]
    rows, columns = (
      slice(side.start // STRIDE_PX, -(-side.stop // MULTIPLE_PX) * 2)
      for side in window
    )
    decoded = network.decode(
      stream.window(rows, columns),
      stream.gains,
      *(side.stop - side.start for side in window),
    )
    taken = [
      slice(inner.start - outer.start, inner.stop - outer.start)
      for inner, outer in zip(core, window)
    ]
    picture[core[0], core[1]] = decoded[taken[0], taken[1]]
  return picture


def _boxes(sides_px: Sequence[int], core_px: int) -> Iterator[tuple[slice, slice]]:
  height_px, width_px = sides_px
  step = -(-core_px // MULTIPLE_PX) * MULTIPLE_PX
  for top in range(0, height_px, step):
    for left in range(0, width_px, step):
      yield (
        slice(top, min(top + step, height_px)),
        slice(left, min(left + step, width_px)),
      )


def _widened(side: slice, reach_px: int, end_px: int) -> slice:
  """By the reach and to whole blocks of either padding, inside the picture."""
  begin = max(0, side.start - reach_px) // MULTIPLE_PX * MULTIPLE_PX
  end = -(-(side.stop + reach_px) // MULTIPLE_PX) * MULTIPLE_PX
  return slice(begin, min(end, end_px))
