"""From what the first stage says to where the second looks (1506.01497, 3.3)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.schemas.detector_config import PostprocessingConfig, ProposalConfig
from hardmine.trainers.detection.geometry.boxes import area
from hardmine.trainers.detection.training.hard_examples import worst_distinct
from hardmine.trainers.detection.training.sampling import gathered

# Where TensorFlow's suppression is not at hand, all pairs of so many are compared.
CANDIDATES = 2000


def suppression_of(
  config: ProposalConfig, max_proposals: int | None = None
) -> PostprocessingConfig:
  """Proposals as the detections of one category.

  Args:
    config: of the first stage.
    max_proposals: kept of an image; None is the config's number.
  """
  limit = max_proposals or config.max_proposals
  return PostprocessingConfig(
    score_threshold=0.0,
    iou_threshold=config.iou_threshold,
    max_per_class=limit,
    max_detections=limit,
  )


def propose(
  boxes_yxyx_norm: Any, objectness: Any, suppression: PostprocessingConfig
) -> tuple[Any, Any]:
  """The best boxes of every image, none nearly the same as a better one.

  Those without area in the image, or with an objectness of 0, are none.

  Args:
    boxes_yxyx_norm: float32 [batch, N, 4].
    objectness: float32 [batch, N] in [0, 1].
    suppression: of `suppression_of`.

  Returns:
    boxes_yxyx_norm [batch, P, 4], best first, with zeros behind, and how many there
    are, int32 [batch]. Nothing is learned through them.
  """
  boxes, objectness = map(ops.stop_gradient, (boxes_yxyx_norm, objectness))
  if keras.backend.backend() == "tensorflow":
    from hardmine.trainers.detection.geometry import nms

    found = nms.detections(boxes, ops.expand_dims(objectness, 2), suppression)
    return ops.stop_gradient(found[0]), found[3]
  return _by_pairs(boxes, objectness, suppression)


def _by_pairs(
  boxes: Any, objectness: Any, suppression: PostprocessingConfig
) -> tuple[Any, Any]:
  """The same, from the best candidates alone."""
  objectness = ops.where(area(boxes) > 0, objectness, 0)
  best, places = ops.top_k(objectness, min(CANDIDATES, objectness.shape[1]))
  boxes = ops.take_along_axis(boxes, ops.expand_dims(places, 2), axis=1)
  kept = worst_distinct(
    boxes, best, best > 0, suppression.iou_threshold, suppression.max_detections
  )
  kept, boxes = gathered(kept, suppression.max_detections, boxes)
  missing = suppression.max_detections - boxes.shape[1]
  boxes = ops.pad(boxes * ops.expand_dims(kept, 2), [[0, 0], [0, missing], [0, 0]])
  return boxes, ops.cast(ops.sum(kept, axis=1), "int32")
