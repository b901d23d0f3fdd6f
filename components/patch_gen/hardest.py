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

from components.patch_gen.scoring import (
  CONTAINER_BYTES,
  ROW_BYTES,
  STREAM_BYTES,
  filter_rows,
  magnitudes,
  png_size,
)
from components.patch_gen.tiling import cut
from schemas.config import require
from schemas.mining_config import PATCH_PX

# What a Huffman code adds to the entropy of its bytes: the code lengths and
# fractions of a bit. At most 179 bytes were seen on 30,000 tiles of photographs;
# deflate's repeats only take away.
CODE_BYTES = 224


def hardest(image: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
  """The tiles whose PNG encoding is largest.

  Args:
    image: uint8 [height, width, 3]; what exceeds whole tiles is left out.
    count: tiles wanted; all of them where there are fewer.

  Returns:
    (positions, scores), hardest first; of equal scores, the upper and then the
    left tile comes first. positions: int [n, 2], the top and left edge in pixels;
    scores: int [n], bytes.

  Raises:
    ValueError: the image is not uint8 RGB, or `count` is not positive.
  """
  require(count > 0, "count > 0", count=count)
  grid = cut(image)
  num_rows, num_columns = grid.shape[:2]
  num_tiles = num_rows * num_columns
  activity = _activity(image, num_rows, num_columns)
  order = np.argsort(-activity, kind="stable")
  search = _Search(grid.reshape(num_tiles, PATCH_PX, PATCH_PX, 3), count)
  # The busiest tiles come first, so that the bound they set is a high one.
  first = order[: count + count // 2]
  search.visit(first)
  rest = order[len(first) :]
  search.visit(rest[_activity_bound(activity[rest]) >= search.threshold])
  chosen = sorted(search.best, key=lambda pair: (-pair[0], -pair[1]))
  tiles = np.array([-negative for _, negative in chosen], np.int64)
  positions = np.stack(np.divmod(tiles, num_columns), axis=1) * PATCH_PX
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
    bounds = _entropy_bound(filtered)
    for index in np.argsort(-bounds, kind="stable"):
      if bounds[index] < self.threshold:
        break
      entry = (png_size(filtered[index]), -int(candidates[index]))
      if len(self.best) < self._count:
        heapq.heappush(self.best, entry)
      else:
        heapq.heappushpop(self.best, entry)


def _activity(image: np.ndarray, num_rows: int, num_columns: int) -> np.ndarray:
  """Per tile, the sum over rows of the lesser of |Up| and |Sub|: int [num_tiles].

  Never less than the sum that the chosen filters leave.
  """
  height, width = num_rows * PATCH_PX, num_columns * PATCH_PX
  bands = np.ascontiguousarray(image[:height, :width]).reshape(num_rows, PATCH_PX, -1)
  activity = np.empty((num_rows, num_columns), np.int64)
  for number, band in enumerate(bands):  # [32, width * 3]: stays in the cache
    up, left = band.copy(), band.copy()
    up[1:] -= band[:-1]
    left[:, 3:] -= band[:, :-3]
    by_tile = (PATCH_PX, num_columns, ROW_BYTES)
    left.reshape(by_tile)[:, :, :3] = band.reshape(by_tile)[:, :, :3]
    sums = np.minimum(
      magnitudes(up.reshape(by_tile)), magnitudes(left.reshape(by_tile))
    )
    activity[number] = sums.sum(0)
  return activity.reshape(-1)


def _activity_bound(activity: np.ndarray) -> np.ndarray:
  """Bytes that no tile of this activity exceeds.

  Of all distributions of whole numbers with mean magnitude m, the two-sided
  geometric one, p(k) = (1 - t) / (1 + t) * t^|k| with m = 2t / (1 - t^2), has
  the largest entropy: -log2 p(0) - m log2 t bits.
  """
  mean = np.maximum(activity / (PATCH_PX * ROW_BYTES), 1e-3)
  ratio = (np.sqrt(1 + mean * mean) - 1) / mean
  bits = -np.log2((1 - ratio) / (1 + ratio)) - mean * np.log2(ratio)
  # 32 filter numbers of at most 2 bits, and telling them from the 3072 others:
  # 8 bytes and 3104 * h(32 / 3104) / 8 = 32.2 bytes.
  numbers_bytes = 41
  payload_bytes = PATCH_PX * ROW_BYTES * bits / 8
  return payload_bytes + numbers_bytes + CODE_BYTES + CONTAINER_BYTES


def _entropy_bound(filtered: np.ndarray) -> np.ndarray:
  """Bytes that no tile with these filtered rows exceeds: float [num_tiles]."""
  num_tiles = len(filtered)
  keys = filtered.reshape(num_tiles, STREAM_BYTES) + 256 * np.arange(num_tiles)[:, None]
  counts = np.bincount(keys.reshape(-1), minlength=256 * num_tiles)
  counts = counts.reshape(num_tiles, 256).astype(np.float64)
  bits = -(counts * np.log2(np.maximum(counts, 1) / STREAM_BYTES)).sum(1)
  return bits / 8 + CODE_BYTES + CONTAINER_BYTES
