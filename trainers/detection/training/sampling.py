"""Which anchors and proposals of an image are learned from, drawn at random.

As in 1506.01497, section 3.1.3: up to a share of positive ones, and negatives fill the
rest. Where there are too few of either, fewer are drawn.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def sample(
  positive: Any, weights: Any, noise: Any, num: int, positive_share: float
) -> Any:
  """Draws from each image.

  Args:
    positive: bool [batch, N].
    weights: float [batch, N]; what has weight 0 is never drawn.
    noise: float [batch, N], a number at random for each; the smallest are drawn, and of
      equals the first.
    num: drawn from an image.
    positive_share: of `num`, that may be positive at most, rounded down.

  Returns:
    float32 [batch, N] of 0 and 1.
  """
  counts = weights > 0
  positive = counts & positive
  drawn = positive & (_rank(positive, noise) < int(num * positive_share))
  left = num - ops.sum(ops.cast(drawn, "int32"), axis=1, keepdims=True)
  negative = counts & ~positive
  drawn = drawn | (negative & (_rank(negative, noise) < left))
  return ops.cast(drawn, "float32")


def _rank(among: Any, noise: Any) -> Any:
  """The place of each by its noise, int32 [batch, N]; others come last."""
  order = ops.argsort(ops.where(among, noise, float("inf")), axis=1)
  return ops.cast(ops.argsort(order, axis=1), "int32")


def gathered(mask: Any, num: int, *values: Any) -> list[Any]:
  """The rows that a mask names, first, and others behind them.

  Args:
    mask: float [batch, N] of 0 and 1.
    num: rows of an image; all where there are no more than so many.
    *values: [batch, N, ...].

  Returns:
    The mask and the values, [batch, num, ...]; the mask is 0 for those behind.
  """
  rows = ops.argsort(-mask, axis=1)[:, :num]  # stable
  return [_rows(value, rows) for value in (mask, *values)]


def _rows(values: Any, rows: Any) -> Any:
  for axis in range(2, len(values.shape)):
    rows = ops.expand_dims(rows, axis)
  return ops.take_along_axis(values, rows, axis=1)
