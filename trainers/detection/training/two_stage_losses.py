"""What the two stages make small (1506.01497, equation 1; 1611.10012, section 2.1).

Each part is a sum over the regions of an image that are learned from, divided by how
many there are, and then the mean over images: an image with few of them, or without an
object, counts as any other. Boxes are learned at positive regions alone.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.schemas.detector_config import FasterRCNNConfig
from hardmine.trainers.detection.training.losses import (
  localization,
  softmax_classification,
)
from hardmine.trainers.detection.training.targets import Targets


def proposal_losses(
  objectness_logits: Any,
  box_codes: Any,
  targets: Targets,
  sampled: Any,
  anchors_yxyx: Any,
  config: FasterRCNNConfig,
) -> tuple[Any, Any]:
  """Of the first stage: objectness and boxes, weighted float32 scalars.

  Args:
    objectness_logits: float [batch, N, 2], the background first.
    box_codes: float [batch, N, 4].
    targets: of all anchors, of whatever category.
    sampled: float32 [batch, N] of 0 and 1: anchors that are learned from.
    anchors_yxyx: float [N, 4].
    config: gives the losses and their weights.
  """
  is_object = ops.cast(targets.positive, "int32")
  per_anchor = softmax_classification(ops.cast(objectness_logits, "float32"), is_object)
  per_box = localization(
    config.localization,
    ops.cast(box_codes, "float32"),
    targets.codes,
    anchors_yxyx,
    config.box_coding,
  )
  num = ops.sum(sampled, axis=1)
  weights = config.proposals.objectness_weight, config.proposals.localization_weight
  return (
    weights[0] * image_mean(per_anchor, sampled, num),
    weights[1] * image_mean(per_box, sampled * _ones(targets), num),
  )


def region_losses(
  class_logits: Any,
  box_codes: Any,
  targets: Targets,
  proposals_yxyx: Any,
  config: FasterRCNNConfig,
) -> tuple[Any, Any]:
  """Of the second stage, of every proposal: classes and boxes, weighted [batch, P].

  Args:
    class_logits: float [batch, P, C + 1], the background first.
    box_codes: float [batch, P, C, 4].
    targets: of the proposals.
    proposals_yxyx: float [batch, P, 4].
    config: gives the losses and their weights.
  """
  classes = softmax_classification(ops.cast(class_logits, "float32"), targets.labels)
  category = ops.maximum(targets.labels - 1, 0)[..., None, None]
  own_codes = ops.take_along_axis(ops.cast(box_codes, "float32"), category, axis=2)
  boxes = localization(
    config.localization,
    own_codes[:, :, 0],
    targets.codes,
    proposals_yxyx,
    config.box_coding,
  )
  return (
    config.classification_weight * classes,
    config.localization_weight * boxes * _ones(targets),
  )


def image_mean(per_region: Any, counts: Any, num: Any) -> Any:
  """Sums over the regions that count, divided, and the mean of all images.

  Args:
    per_region: float [batch, P].
    counts: float [batch, P], 0 and 1.
    num: float [batch], what an image's sum is divided by, or by 1 where it is less.
  """
  of_image = ops.sum(ops.where(counts > 0, per_region, 0), axis=1)
  return ops.mean(of_image / ops.maximum(num, 1.0))


def _ones(targets: Targets) -> Any:
  return ops.cast(targets.positive, "float32")
