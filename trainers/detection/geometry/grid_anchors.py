"""The boxes from which proposals start (1506.01497, section 3.1.1).

As the authors of 1611.10012 released them: the same anchors at every position of one
map, in pixels of the resized picture. Those of position (row, column) have their centre
at (row s, column s) for a stride s, without an offset. An anchor of scale m and ratio
r, width over height, is m base / sqrt(r) high and m base sqrt(r) wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from hardmine.schemas.detector_config import ProposalConfig


def sides_px(config: ProposalConfig) -> np.ndarray:
  """Heights and widths of a position's anchors, float32 [A, 2].

  For each ratio all scales, as in released checkpoints.
  """
  ratios, scales = np.meshgrid(
    np.sqrt(np.asarray(config.aspect_ratios)), config.scales, indexing="ij"
  )
  sides = config.base_px * np.stack([scales / ratios, scales * ratios], axis=-1)
  return sides.reshape(-1, 2).astype(np.float32)


def grid_anchors(
  rows: Any, columns: Any, stride_px: int, config: ProposalConfig
) -> Any:
  """All anchors of a map, float32 [rows * columns * A, 4], yxyx in pixels.

  By row, column and `sides_px`; not clipped. The map may be of any size, also one that
  only a running graph knows.

  Args:
    rows: of the map, a whole number or a scalar tensor.
    columns: likewise.
    stride_px: pixels between two positions.
    config: gives scales and ratios.
  """
  y, x = (ops.arange(size, dtype="float32") * stride_px for size in (rows, columns))
  y, x = ops.meshgrid(y, x, indexing="ij")
  centers = ops.expand_dims(ops.stack([y, x], axis=-1), 2)  # [rows, columns, 1, 2]
  half = ops.convert_to_tensor(sides_px(config) / 2)
  grid = ops.concatenate([centers - half, centers + half], axis=-1)
  return ops.reshape(grid, (-1, 4))


def inside(anchors_yxyx: Any, window_yxyx: Any) -> Any:
  """Which of [N, 4] do not cross a window's border: bool [N]."""
  begin, end = anchors_yxyx[:, :2], anchors_yxyx[:, 2:]
  window: Any = ops.convert_to_tensor(window_yxyx, dtype="float32")
  return ops.all((begin >= window[:2]) & (end <= window[2:]), axis=1)
