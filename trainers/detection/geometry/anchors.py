"""The boxes from which an SSD's predictions start (1512.02325, section 2.2).

As the authors of 1611.10012 released them: scales s grow linearly from `min_scale`
on the finest map to `max_scale` on the coarsest, and an anchor of ratio r (width
over height) is s / sqrt(r) high and s sqrt(r) wide, in shares of the image's sides.
Every map but the first adds a square of the scale between its own and the next
map's, sqrt(s_k s_{k+1}), with 1 after the last. The first map has three anchors: a
square of half the smallest scale, and ratios 2 and 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import SSDConfig


def ssd_anchors(map_sizes: Sequence[tuple[int, int]], config: SSDConfig) -> np.ndarray:
  """All anchors of one image.

  Args:
    map_sizes: (rows, columns) of every feature map, finest first.
    config: gives scales and ratios.

  Returns:
    float32 [N, 4], yxyx in shares of the image: map by map, and inside a map by
    row, column and `cell_sides`. Centres are (row + 0.5) / rows and
    (column + 0.5) / columns. Not clipped: anchors at the border reach beyond it.

  Raises:
    ValueError: no map, or an empty one.
  """
  require(
    len(map_sizes) > 0 and all(min(size) > 0 for size in map_sizes),
    "maps of at least one cell",
    map_sizes=map_sizes,
  )
  grids = []
  for (rows, columns), sides in zip(map_sizes, cell_sides(len(map_sizes), config)):
    y, x = (np.arange(size) + 0.5 for size in (rows, columns))
    centers = np.stack(np.meshgrid(y / rows, x / columns, indexing="ij"), axis=-1)
    centers = centers[:, :, np.newaxis]  # [rows, columns, 1, 2]
    grid = np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1)
    grids.append(grid.reshape(-1, 4))
  return np.concatenate(grids).astype(np.float32)


def ssd_cells(map_sizes: Sequence[tuple[int, int]], config: SSDConfig) -> np.ndarray:
  """The cell of every anchor of `ssd_anchors`, in their order.

  Returns:
    float32 [N, 4], yxyx in shares of the image; the cells of a map cover it.
  """
  grids = []
  per_cell = anchors_per_cell(len(map_sizes), config)
  for (rows, columns), num_anchors in zip(map_sizes, per_cell):
    y, x = (np.arange(size + 1) / size for size in (rows, columns))
    begin, end = (
      np.stack(np.meshgrid(y[part], x[part], indexing="ij"), axis=-1)
      for part in (slice(None, -1), slice(1, None))
    )
    grid = np.concatenate([begin, end], axis=-1).reshape(-1, 4)
    grids.append(np.repeat(grid, num_anchors, axis=0))
  return np.concatenate(grids).astype(np.float32)


def anchors_per_cell(num_maps: int, config: SSDConfig) -> list[int]:
  """How many anchors share a cell of every map: 3, 6, 6, 6, 6, 6 by default."""
  return [len(sides) for sides in cell_sides(num_maps, config)]


def cell_sides(num_maps: int, config: SSDConfig) -> list[np.ndarray]:
  """The shapes of one cell's anchors, as float64 [anchors, 2], for every map.

  Rows are (height, width); the ratios in the config's order, then the square
  between the scales. Released checkpoints of 2018 have this order too.
  """
  scales = np.linspace(config.min_scale, config.max_scale, num_maps)
  shapes = [[(config.min_scale / 2, 1.0), (config.min_scale, 2.0), (scales[0], 0.5)]]
  for scale, next_scale in zip(scales[1:], [*scales[2:], 1.0]):
    shapes.append([(scale, ratio) for ratio in config.aspect_ratios])
    shapes[-1].append((np.sqrt(scale * next_scale), 1.0))
  return [
    np.array([(s / np.sqrt(r), s * np.sqrt(r)) for s, r in shape]) for shape in shapes
  ]
