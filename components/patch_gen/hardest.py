"""The hardest tiles of a photograph, without encoding all of them.

Deflating a tile takes longer than everything else together, and only the tiles
near the top can be chosen. Two upper bounds of the PNG size, each from cheaper
facts than the last, skip the rest; what is returned is what encoding every tile
and sorting would give:

    every tile       sum of |up|, |left| residuals   ->  geometric bound
    some hundreds    filtered rows, their histogram  ->  entropy bound
    little over N    deflate                         ->  the score
"""

from __future__ import annotations

import heapq

import numpy as np

from hardmine.components.patch_gen.bounds import activity_bound, entropy_bound
from hardmine.components.patch_gen.scoring import filter_rows, magnitudes, png_size
from hardmine.components.patch_gen.tiling import cut
from hardmine.schemas.config import require
from hardmine.schemas.mining_config import PATCH_PX


def hardest(
  image: np.ndarray, count: int, patch_px: int = PATCH_PX
) -> tuple[np.ndarray, np.ndarray]:
  """The tiles whose PNG encoding is largest.

  Args:
    image: uint8 [height, width, 3]; what exceeds whole tiles is left out.
    count: tiles wanted; all of them where there are fewer.
    patch_px: side of a tile.

  Returns:
    (positions, scores), hardest first; of equal scores, the upper and then the
    left tile comes first. positions: int [n, 2], the top and left edge in pixels;
    scores: int [n], bytes.

  Raises:
    ValueError: the image is not uint8 RGB, or `count` is not positive.
  """
  require(count > 0, "count > 0", count=count)
  grid = cut(image, patch_px)
  num_rows, num_columns = grid.shape[:2]
  num_tiles = num_rows * num_columns
  activity = _activity(image, num_rows, num_columns, patch_px)
  order = np.argsort(-activity, kind="stable")
  search = _Search(grid.reshape(num_tiles, patch_px, patch_px, 3), count)
  # The busiest tiles come first, so that the bound they set is a high one.
  first = order[: count + count // 2]
  search.visit(first)
  rest = order[len(first) :]
  search.visit(rest[activity_bound(activity[rest], patch_px) >= search.threshold])
  chosen = sorted(search.best, key=lambda pair: (-pair[0], -pair[1]))
  tiles = np.array([-negative for _, negative in chosen], np.int64)
  positions = np.stack(np.divmod(tiles, num_columns), axis=1) * patch_px
  return positions, np.array([score for score, _ in chosen], np.int64)


class _Search:
  """Keeps the best `count` tiles seen, as a heap of (score, -tile)."""

  def __init__(self, tiles: np.ndarray, count: int):
    self._tiles = tiles
    self._count = count
    self.best: list[tuple[int, int]] = []

  @property
  def threshold(self) -> int:
    """The score that a further tile must at least equal."""
    return self.best[0][0] if len(self.best) == self._count else 0

  def visit(self, candidates: np.ndarray) -> None:
    """Scores `candidates` (int [n], tile numbers) until no bound is high enough."""
    if not len(candidates):
      return
    filtered = filter_rows(self._tiles[candidates])
    bounds = entropy_bound(filtered)
    for index in np.argsort(-bounds, kind="stable"):
      if bounds[index] < self.threshold:
        break
      entry = (png_size(filtered[index]), -int(candidates[index]))
      if len(self.best) < self._count:
        heapq.heappush(self.best, entry)
      else:
        heapq.heappushpop(self.best, entry)


def _activity(
  image: np.ndarray, num_rows: int, num_columns: int, patch_px: int
) -> np.ndarray:
  """Per tile, the sum over rows of the lesser of |Up| and |Sub|: int [num_tiles].

  Never less than the sum that the chosen filters leave.
  """
  height, width = num_rows * patch_px, num_columns * patch_px
  bands = np.ascontiguousarray(image[:height, :width]).reshape(num_rows, patch_px, -1)
  activity = np.empty((num_rows, num_columns), np.int64)
  for number, band in enumerate(bands):  # [patch_px, width * 3]: stays in the cache
    up, left = band.copy(), band.copy()
    up[1:] -= band[:-1]
    left[:, 3:] -= band[:, :-3]
    by_tile = (patch_px, num_columns, 3 * patch_px)
    left.reshape(by_tile)[:, :, :3] = band.reshape(by_tile)[:, :, :3]
    sums = np.minimum(
      magnitudes(up.reshape(by_tile)), magnitudes(left.reshape(by_tile))
    )
    activity[number] = sums.sum(0)
  return activity.reshape(-1)
