"""What the network should say at every anchor (1611.10012, sections 2.1 and 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection.geometry.box_coder import Coding, encode
from hardmine.trainers.detection.geometry.boxes import (
  area,
  contains_center,
  pairwise_intersection,
  pairwise_iou,
)
from hardmine.trainers.detection.geometry.matchers import (
  BACKGROUND,
  IGNORED,
  argmax_matches,
  bipartite_matches,
  center_matches,
)

CROWD_SHARE = 0.5


class Targets(NamedTuple):
  """Of a batch; N is the number of anchors.

  Attributes:
    labels: int32 [batch, N], 0 for background, otherwise a category from 1.
    codes: float32 [batch, N, 4] of `box_coder`, 0 for background.
    positive: bool [batch, N], the anchors that have an object.
    weights: float32 [batch, N], 0 where nothing is to be learned, otherwise 1.
  """

  labels: Any
  codes: Any
  positive: Any
  weights: Any


def assign(
  boxes_yxyx_norm: Any,
  labels: Any,
  anchors_yxyx_norm: Any,
  config: SSDConfig,
  is_crowd: Any = None,
  cells_yxyx_norm: Any = None,
) -> Targets:
  """Targets of a batch of images for an SSD.

  Args:
    boxes_yxyx_norm: float [batch, G, 4], the objects; G may be 0.
    labels: int [batch, G], categories from 1; 0 for padding.
    anchors_yxyx_norm: float [N, 4].
    config: gives the matcher, its threshold and the coding of boxes.
    is_crowd: bool or int [batch, G], or None for no crowds.
    cells_yxyx_norm: float [N, 4], of `anchors.ssd_cells`; the matcher `center` alone
      needs them.
  """

  def match(iou: Any, valid: Any, boxes: Any) -> Any:
    if config.matcher == "center":
      cells = ops.cast(cells_yxyx_norm, "float32")
      return center_matches(iou, valid, contains_center(cells, boxes))
    if config.matcher == "bipartite":
      return bipartite_matches(iou, valid)
    return argmax_matches(iou, valid, config.matched_iou)

  return assign_by(
    match, boxes_yxyx_norm, labels, anchors_yxyx_norm, config.box_coding, is_crowd
  )


def assign_by(
  match: Callable[[Any, Any, Any], Any],
  boxes_yxyx: Any,
  labels: Any,
  anchors_yxyx: Any,
  coding: Coding = "log",
  is_crowd: Any = None,
) -> Targets:
  """Targets of a batch of images, by whatever matches anchors or proposals.

  A crowd is one box around many objects. It is no object itself, but neither is
  what lies inside it background: an anchor without an object that has at least half
  of its area in one crowd gets weight 0. (The study's own code of the time trained
  on crowds as on objects.)

  Args:
    match: maps IoU [batch, N, G], valid bool [batch, G] and boxes [batch, G, 4] to
      matches int32 [batch, N], as `matchers` give them. G is 1 or more.
    boxes_yxyx: float [batch, G, 4], the objects; G may be 0.
    labels: int [batch, G], categories from 1; 0 for padding.
    anchors_yxyx: float [N, 4], or [batch, N, 4] where images have their own, in the
      unit of the boxes.
    coding: of the codes.
    is_crowd: bool or int [batch, G], or None for no crowds.
  """
  # A spare column of padding, as nothing can be the best of none.
  spare = [[0, 0], [0, 1]]
  boxes_yxyx = ops.pad(ops.cast(boxes_yxyx, "float32"), [*spare, [0, 0]])
  labels = ops.pad(ops.cast(labels, "int32"), spare)
  anchors_yxyx = ops.cast(anchors_yxyx, "float32")

  valid = labels > 0
  if is_crowd is not None:
    crowds = valid & (ops.pad(ops.cast(is_crowd, "int32"), spare) > 0)
    valid = valid & ~crowds
  matches = match(pairwise_iou(anchors_yxyx, boxes_yxyx), valid, boxes_yxyx)
  if is_crowd is not None:
    shared = pairwise_intersection(anchors_yxyx, boxes_yxyx)
    shared = ops.max(ops.where(ops.expand_dims(crowds, 1), shared, 0), axis=2)
    inside = shared >= CROWD_SHARE * area(anchors_yxyx)
    matches = ops.where(inside & (matches == BACKGROUND), IGNORED, matches)

  positive = matches >= 0
  own = ops.maximum(matches, 0)
  own_boxes = ops.take_along_axis(boxes_yxyx, ops.expand_dims(own, 2), axis=1)
  codes = encode(own_boxes, anchors_yxyx, coding)
  return Targets(
    labels=ops.where(positive, ops.take_along_axis(labels, own, axis=1), 0),
    codes=ops.where(ops.expand_dims(positive, 2), codes, 0),
    positive=positive,
    weights=ops.cast(matches != IGNORED, "float32"),
  )
