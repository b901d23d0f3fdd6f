"""What training makes small (1611.10012, section 2.1; 1512.02325, section 2.2).

All losses are per anchor; `ssd_loss` chooses among them, picks the anchors that
count (`hard_examples`) and normalises.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.schemas.detector_config import Localization, SSDConfig
from hardmine.trainers.detection.geometry import box_coder
from hardmine.trainers.detection.geometry.boxes import paired_iou
from hardmine.trainers.detection.training.hard_examples import (
  hard_examples,
  worst_distinct,
)
from hardmine.trainers.detection.training.targets import Targets
from hardmine.trainers.replicas import batch_mean, num_shares

MAX_DISTINCT = 3000  # anchors of an image that mining looks at behind `duplicate_iou`


def smooth_l1(codes: Any, target_codes: Any, delta: float = 1.0) -> Any:
  """Quadratic up to an error of `delta`, linear beyond; [..., 4] to [...], a sum."""
  error = ops.abs(codes - target_codes)
  inner = ops.minimum(error, delta)
  return ops.sum(inner * (error - 0.5 * inner), axis=-1)


def l2(codes: Any, target_codes: Any) -> Any:
  """Half the squared errors, [..., 4] to [...], a sum."""
  return 0.5 * ops.sum(ops.square(codes - target_codes), axis=-1)


def iou(
  codes: Any, target_codes: Any, anchors_yxyx: Any, coding: box_coder.Coding = "log"
) -> Any:
  """1 - IoU of the boxes that two codes of an anchor mean; [..., 4] to [...].

  Boxes that share nothing have a loss of 1 and no slope: nothing says which way to go.
  Anchors share half with their objects, and so do fresh predictions; where that is not
  so (`matched_iou`, claims), `smooth_l1` or `l2` learn what this cannot.
  """
  shared = paired_iou(
    box_coder.decode(codes, anchors_yxyx, coding),
    box_coder.decode(target_codes, anchors_yxyx, coding),
  )
  return 1 - shared


def localization(
  kind: Localization,
  codes: Any,
  target_codes: Any,
  anchors_yxyx: Any,
  coding: box_coder.Coding = "log",
) -> Any:
  """The loss of box codes, of whichever kind, [..., 4] to [...].

  Args:
    kind: `smooth_l1` and `l2` of the codes, or `iou` of the boxes they mean.
    codes: float [..., n, 4], predicted.
    target_codes: float [..., n, 4].
    anchors_yxyx: [n, 4] or any shape that broadcasts, in whatever unit.
    coding: of both codes.

  Returns:
    float [..., n], 0 or more; finite, as are its slopes, for finite codes.
  """
  if kind == "iou":
    return iou(codes, target_codes, anchors_yxyx, coding)
  return {"smooth_l1": smooth_l1, "l2": l2}[kind](codes, target_codes)


def sigmoid_classification(logits: Any, labels: Any) -> Any:
  """Binary cross-entropies, summed over all categories and the background.

  Args:
    logits: float [..., C + 1], the background first.
    labels: int [...], 0 to C; exactly one of the C + 1 sigmoids should say 1.

  Returns:
    [...], 0 or more, in nats.
  """
  is_target = ops.one_hot(labels, ops.shape(logits)[-1], dtype=logits.dtype)
  return ops.sum(ops.softplus(logits * (1 - 2 * is_target)), axis=-1)


def softmax_classification(logits: Any, labels: Any) -> Any:
  """Cross-entropy where all categories and the background compete.

  Args:
    logits: float [..., C + 1], the background first.
    labels: int [...], 0 to C.

  Returns:
    [...], 0 or more, in nats.
  """
  is_target = ops.one_hot(labels, ops.shape(logits)[-1], dtype=logits.dtype)
  return ops.logsumexp(logits, axis=-1) - ops.sum(logits * is_target, axis=-1)


def ssd_loss(
  class_logits: Any,
  box_codes: Any,
  targets: Targets,
  anchors_yxyx_norm: Any,
  config: SSDConfig,
) -> tuple[Any, dict[str, Any]]:
  """The loss of a batch.

  Both parts are sums over the anchors that count, divided by the number of positive
  anchors in the whole batch, or by 1 where there is none. Boxes are learned at
  positive anchors only. With `duplicate_iou` an anchor whose predicted box nearly is
  that of one with a higher classification loss counts for neither part.

  Args:
    class_logits: float [batch, N, C + 1], the background first.
    box_codes: float [batch, N, 4].
    targets: of the same batch.
    anchors_yxyx_norm: float [N, 4].
    config: gives the losses, their weights and the mining.

  Returns:
    The total, and what of it is `classification` and `localization` (its weight
    included, so the two add up); float32 scalars.
  """
  class_logits = ops.cast(class_logits, "float32")
  box_codes = ops.cast(box_codes, "float32")
  classify = {
    "sigmoid": sigmoid_classification,
    "softmax": softmax_classification,
  }[config.classification]
  positive = ops.cast(targets.positive, "float32")
  # Of the whole batch, of which this may be one of several equal shares.
  num_positives = ops.maximum(batch_mean(ops.sum(positive)), 1.0 / num_shares())
  per_anchor = classify(class_logits, targets.labels)
  weights = targets.weights
  if config.duplicate_iou is not None:
    boxes = box_coder.decode(box_codes, anchors_yxyx_norm, config.box_coding)
    weights = weights * worst_distinct(
      boxes, per_anchor, weights > 0, config.duplicate_iou, MAX_DISTINCT
    )
  mask = hard_examples(
    per_anchor, targets.positive, weights, config.negatives_per_positive
  )
  classification = ops.sum(per_anchor * mask * weights) / num_positives
  per_anchor = localization(
    config.localization,
    box_codes,
    targets.codes,
    anchors_yxyx_norm,
    config.box_coding,
  )
  of_boxes = ops.sum(per_anchor * positive * weights) / num_positives
  of_boxes = config.localization_weight * of_boxes
  return classification + of_boxes, {
    "classification": classification,
    "localization": of_boxes,
  }
