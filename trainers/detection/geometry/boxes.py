"""Boxes: their conventions, and what two of them share.

    yxyx     ymin, xmin, ymax, xmax: everywhere inside this package
    centers  ycenter, xcenter, height, width: for the box coder and anchors
    xywh     xmin, ymin, width, height: COCO's files

A name ends in the convention and, where it matters, in the unit: `_norm` are shares
of the image's height and width, `_px` pixels. y points down, x right; edges are
positions between pixels, so a box is ymax - ymin high, without the "+ 1" of older
code. All functions are elementwise in the leading axes and run on every backend.
"""

from __future__ import annotations

import functools
from typing import Any

from keras import ops

MIN_SHARED = 1e-16  # an area far below that of a pixel, in any unit


def area(boxes_yxyx: Any) -> Any:
  """Areas, [..., 4] to [...], in the boxes' unit squared; 0 for inverted boxes."""
  ymin, xmin, ymax, xmax = ops.unstack(boxes_yxyx, 4, axis=-1)
  return ops.maximum(ymax - ymin, 0) * ops.maximum(xmax - xmin, 0)


def pairwise_intersection(a_yxyx: Any, b_yxyx: Any) -> Any:
  """Areas that every pair shares, [..., n, 4] and [..., m, 4] to [..., n, m].

  The leading axes broadcast: [n, 4] anchors go with [batch, m, 4] objects.
  """
  # One coordinate at a time: [n, m, 4] would be four times the memory.
  a_ymin, a_xmin, a_ymax, a_xmax = (
    ops.expand_dims(edge, -1) for edge in ops.unstack(a_yxyx, 4, axis=-1)
  )
  b_ymin, b_xmin, b_ymax, b_xmax = (
    ops.expand_dims(edge, -2) for edge in ops.unstack(b_yxyx, 4, axis=-1)
  )
  heights = ops.minimum(a_ymax, b_ymax) - ops.maximum(a_ymin, b_ymin)
  widths = ops.minimum(a_xmax, b_xmax) - ops.maximum(a_xmin, b_xmin)
  return ops.maximum(heights, 0) * ops.maximum(widths, 0)


def pairwise_iou(a_yxyx: Any, b_yxyx: Any) -> Any:
  """Intersection over union of every pair, [..., n, 4], [..., m, 4] to [..., n, m].

  Pairs that share nothing have 0, also when both areas are 0.
  """
  shared = pairwise_intersection(a_yxyx, b_yxyx)
  either = (
    ops.expand_dims(area(a_yxyx), -1) + ops.expand_dims(area(b_yxyx), -2) - shared
  )
  overlap = shared > 0
  return ops.where(overlap, shared / ops.where(overlap, either, 1), 0)


def contains_center(cells_yxyx: Any, boxes_yxyx: Any) -> Any:
  """Whether boxes' centres lie in cells, [..., n, 4], [..., m, 4] to bool [..., n, m].

  A cell has its upper and left edges and not the others, so that a grid of cells has
  every point of it once.
  """
  top, left, bottom, right = (
    ops.expand_dims(edge, -1) for edge in ops.unstack(cells_yxyx, 4, axis=-1)
  )
  y, x, _, _ = (
    ops.expand_dims(value, -2)
    for value in ops.unstack(to_centers(boxes_yxyx), 4, axis=-1)
  )
  conditions = (top <= y, y < bottom, left <= x, x < right)
  return functools.reduce(ops.logical_and, conditions)


def paired_iou(a_yxyx: Any, b_yxyx: Any) -> Any:
  """Intersection over union of each box and its partner, [..., 4] twice to [...].

  Pairs that share (nearly) nothing have 0 and no slope. All slopes are finite.
  """
  a_ymin, a_xmin, a_ymax, a_xmax = ops.unstack(a_yxyx, 4, axis=-1)
  b_ymin, b_xmin, b_ymax, b_xmax = ops.unstack(b_yxyx, 4, axis=-1)
  heights = ops.minimum(a_ymax, b_ymax) - ops.maximum(a_ymin, b_ymin)
  widths = ops.minimum(a_xmax, b_xmax) - ops.maximum(a_xmin, b_xmin)
  shared = ops.maximum(heights, 0) * ops.maximum(widths, 0)
  # The slope of a quotient has the square of what it is divided by.
  overlap = shared > MIN_SHARED
  either = area(a_yxyx) + area(b_yxyx) - shared
  return ops.where(overlap, shared / ops.where(overlap, either, 1), 0)


def yxyx_to_xywh(boxes_yxyx: Any) -> Any:
  """[..., 4] to COCO's order."""
  ymin, xmin, ymax, xmax = ops.unstack(boxes_yxyx, 4, axis=-1)
  return ops.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)


def xywh_to_yxyx(boxes_xywh: Any) -> Any:
  """[..., 4] from COCO's order."""
  xmin, ymin, width, height = ops.unstack(boxes_xywh, 4, axis=-1)
  return ops.stack([ymin, xmin, ymin + height, xmin + width], axis=-1)


def to_centers(boxes_yxyx: Any) -> Any:
  """[..., 4] to (ycenter, xcenter, height, width)."""
  ymin, xmin, ymax, xmax = ops.unstack(boxes_yxyx, 4, axis=-1)
  return ops.stack(
    [(ymin + ymax) / 2, (xmin + xmax) / 2, ymax - ymin, xmax - xmin], axis=-1
  )


def from_centers(boxes_centers: Any) -> Any:
  """[..., 4] from (ycenter, xcenter, height, width)."""
  y, x, height, width = ops.unstack(boxes_centers, 4, axis=-1)
  return ops.stack(
    [y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=-1
  )


def flip_horizontal(boxes_yxyx_norm: Any) -> Any:
  """The boxes of the image mirrored left to right, [..., 4]."""
  ymin, xmin, ymax, xmax = ops.unstack(boxes_yxyx_norm, 4, axis=-1)
  return ops.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=-1)


def clip(boxes_yxyx: Any, window_yxyx: Any = (0.0, 0.0, 1.0, 1.0)) -> Any:
  """The parts of boxes [..., 4] inside a window [4]; zero area where there is none."""
  top, left, bottom, right = ops.unstack(
    ops.convert_to_tensor(window_yxyx, dtype=boxes_yxyx.dtype), 4, axis=-1
  )
  ymin, xmin, ymax, xmax = ops.unstack(boxes_yxyx, 4, axis=-1)
  return ops.stack(
    [
      ops.clip(ymin, top, bottom),
      ops.clip(xmin, left, right),
      ops.clip(ymax, top, bottom),
      ops.clip(xmax, left, right),
    ],
    axis=-1,
  )
