"""What both stages should say (1506.01497, section 3.1.2; 1611.10012, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from hardmine.schemas.detector_config import FasterRCNNConfig
from hardmine.trainers.detection.geometry.boxes import area
from hardmine.trainers.detection.geometry.matchers import IGNORED, argmax_matches
from hardmine.trainers.detection.training.targets import Targets, assign_by


def anchor_targets(
  truth: Any, anchors_yxyx_norm: Any, counts: Any, config: FasterRCNNConfig
) -> Targets:
  """Of the first stage, where positive is an object of whatever category.

  Args:
    truth: as in `MetaArchitecture.batch_loss`.
    anchors_yxyx_norm: [N, 4].
    counts: bool [N], the anchors that take part; no object claims another.
    config: gives both thresholds.
  """
  first = config.proposals

  def match(iou: Any, valid: Any, boxes: Any) -> Any:
    del boxes
    iou = ops.where(ops.expand_dims(counts, 1), iou, 0)
    matches = argmax_matches(iou, valid, first.matched_iou, first.unmatched_iou)
    return ops.where(counts, matches, IGNORED)

  return _assigned(match, truth, anchors_yxyx_norm, config)


def proposal_targets(
  truth: Any, proposals_yxyx_norm: Any, config: FasterRCNNConfig
) -> Targets:
  """Of the second stage; proposals [b, P, 4] without area have weight 0."""

  def match(iou: Any, valid: Any, boxes: Any) -> Any:
    del boxes
    matches = argmax_matches(iou, valid, config.matched_iou, claims=False)
    return ops.where(area(proposals_yxyx_norm) > 0, matches, IGNORED)

  return _assigned(match, truth, proposals_yxyx_norm, config)


def _assigned(
  match: Callable[[Any, Any, Any], Any],
  truth: Any,
  regions: Any,
  config: FasterRCNNConfig,
) -> Targets:
  return assign_by(
    match,
    truth["boxes_yxyx_norm"],
    truth["labels"],
    regions,
    config.box_coding,
    truth["is_crowd"],
  )
