"""Which images a detector did best and worst on, to be looked at."""

from __future__ import annotations

import dataclasses

import numpy as np

from hardmine.components.detection_evaluator.annotated_set import (
  AnnotatedSet,
  pixels_of,
  true_boxes_yxyx_px,
)
from hardmine.components.detection_evaluator.measurement import Measurement
from hardmine.schemas.coco_example import AnnotatedImage
from hardmine.trainers.metrics.coco_map import match

IOU_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageCounts:
  """How many objects of every image were found, at `IOU_THRESHOLD`.

  Attributes:
    found: int64 [images].
    missed: int64 [images], crowds left out.
    false: int64 [images], detections of nothing, or of something again.
  """

  found: np.ndarray
  missed: np.ndarray
  false: np.ndarray

  @property
  def f1(self) -> np.ndarray:
    """float64 [images] in [0, 1]; 1 where there was nothing and nothing was found."""
    wrong = self.missed + self.false
    return np.where(
      wrong > 0, 2 * self.found / np.maximum(1, 2 * self.found + wrong), 1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShownImage:
  """An image with its true boxes and the detector's.

  Attributes:
    name: of its file.
    pixels: uint8 [height, width, 3].
    true_boxes_yxyx_px: float64 [m, 4].
    true_category_ids: int64 [m].
    true_is_crowd: bool [m].
    boxes_yxyx_px: float64 [n, 4], best first, all above the minimal score.
    category_ids: int64 [n].
    scores: float64 [n].
    found: as in `ImageCounts`; `missed`, `false` and `f1` too.
  """

  name: str
  pixels: np.ndarray
  true_boxes_yxyx_px: np.ndarray
  true_category_ids: np.ndarray
  true_is_crowd: np.ndarray
  boxes_yxyx_px: np.ndarray
  category_ids: np.ndarray
  scores: np.ndarray
  found: int
  missed: int
  false: int
  f1: float


def count_by_image(
  data: AnnotatedSet, measurement: Measurement, min_score: float
) -> ImageCounts:
  """Counts what scores at least `min_score`."""
  truth, detections = data.truth, measurement.detections
  matches = match(truth, detections, IOU_THRESHOLD, min_score)
  row_of = {image_id: row for row, image_id in enumerate(truth.image_ids.tolist())}

  def count(image_ids: np.ndarray) -> np.ndarray:
    rows = np.array([row_of[one] for one in image_ids.tolist()], np.int64)
    return np.bincount(rows, minlength=len(row_of))

  matched = matches.box_indices >= 0
  found = count(detections.image_ids[matched & ~matches.is_ignored])
  return ImageCounts(
    found=found,
    missed=count(truth.box_image_ids[~truth.is_crowd]) - found,
    false=count(detections.image_ids[~matched & ~matches.is_ignored]),
  )


def best_and_worst(
  data: AnnotatedSet, measurement: Measurement, *, num_shown: int, min_score: float
) -> tuple[tuple[ShownImage, ...], tuple[ShownImage, ...]]:
  """The images of highest and of lowest F1, the extreme ones first.

  Among equals, the best has most found and the worst most that is wrong. Images
  without objects and detections show nothing and are left out; none is on both
  sides.
  """
  counts = count_by_image(data, measurement, min_score)
  wrong = counts.missed + counts.false
  order = np.lexsort((-counts.found, wrong, -counts.f1))
  order = order[(counts.found + wrong)[order] > 0]
  # With few images the bad ones are more telling: they get half, rounded up.
  num_worst = min(num_shown, -(-len(order) // 2))
  worst = order[len(order) - num_worst :][::-1]
  best = order[: len(order) - num_worst][:num_shown]
  rows = {*best.tolist(), *worst.tolist()}
  shown = {
    row: _shown(row, image, data, measurement, counts, min_score)
    for row, image in enumerate(data.images)
    if row in rows
  }
  return (
    tuple(shown[row] for row in best.tolist()),
    tuple(shown[row] for row in worst.tolist()),
  )


def _shown(
  row: int,
  image: AnnotatedImage,
  data: AnnotatedSet,
  measurement: Measurement,
  counts: ImageCounts,
  min_score: float,
) -> ShownImage:
  detections = measurement.detections
  chosen = np.flatnonzero(
    (detections.image_ids == data.truth.image_ids[row])
    & (detections.scores >= min_score)
  )
  left, top, width, height = detections.boxes_xywh_px[chosen].T
  return ShownImage(
    name=image.filename,
    pixels=pixels_of(image),
    true_boxes_yxyx_px=true_boxes_yxyx_px(image),
    true_category_ids=image.category_ids,
    true_is_crowd=image.is_crowd.astype(bool),
    boxes_yxyx_px=np.stack([top, left, top + height, left + width], axis=-1),
    category_ids=detections.category_ids[chosen],
    scores=detections.scores[chosen],
    found=int(counts.found[row]),
    missed=int(counts.missed[row]),
    false=int(counts.false[row]),
    f1=float(counts.f1[row]),
  )
