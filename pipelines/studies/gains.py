"""What was gained, and how much of that another draw of images might have given."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hardmine.pipelines.studies.ensemble import Row
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes, GroundTruth
from hardmine.trainers.metrics.coco_map import coco_map

GAINS = ("AP", "AP50")
_DRAWS = 200
_SPAN = (5, 95)  # per cent


def gain(
  truth: GroundTruth, before: Row, after: Row, image_ids: np.ndarray
) -> dict[str, Any]:
  """Of a row over another on the images that judge.

  Args:
    truth: of all images.
    before: the best model alone.
    after: what was chosen.
    image_ids: int64 [n], of the images that judge.

  Returns:
    Of each of `GAINS`: `before`, `after`, and the 5th and 95th percentile of what is
    gained in `low` and `high`, where the same images are drawn again and again with
    repetition (bootstrap); and `passes` and `seconds` as [before, after].
  """
  rng = np.random.default_rng(0)
  draws: dict[str, list[float]] = {name: [] for name in GAINS}
  parts = [_Drawn(truth, row.boxes) for row in (before, after)]
  for _ in range(_DRAWS):
    drawn = rng.choice(image_ids, len(image_ids))
    first, second = (part.summary(drawn) for part in parts)
    for name in GAINS:
      if first[name] >= 0:  # else nothing was drawn that could be found
        draws[name].append(second[name] - first[name])
  found: dict[str, Any] = {
    "passes": [before.num_passes, after.num_passes],
    "seconds": [before.seconds, after.seconds],
  }
  for name in GAINS:
    low, high = np.percentile(draws[name] or [0.0], _SPAN).tolist()
    found[name] = {
      "before": before.judging[name],
      "after": after.judging[name],
      "low": low,
      "high": high,
    }
  return found


class _Drawn:
  """COCO's numbers of images that may be drawn more than once."""

  def __init__(self, truth: GroundTruth, boxes: DetectedBoxes):
    self._truth, self._boxes = truth, boxes
    self._true_rows = _rows_of(truth.box_image_ids)
    self._found_rows = _rows_of(boxes.image_ids)

  def summary(self, image_ids: np.ndarray) -> dict[str, float]:
    """Of images in this order, each counted as often as it comes."""
    true, true_ids = _drawn(self._true_rows, image_ids)
    found, found_ids = _drawn(self._found_rows, image_ids)
    truth, boxes = self._truth, self._boxes
    columns = ("box_category_ids", "boxes_xywh_px", "areas_px", "is_crowd")
    return coco_map(
      dataclasses.replace(
        truth,
        image_ids=np.arange(len(image_ids)),
        box_image_ids=true_ids,
        **{name: getattr(truth, name)[true] for name in columns},
      ),
      DetectedBoxes(
        image_ids=found_ids,
        category_ids=boxes.category_ids[found],
        boxes_xywh_px=boxes.boxes_xywh_px[found],
        scores=boxes.scores[found],
      ),
    ).summary


def _rows_of(ids: np.ndarray) -> dict[int, np.ndarray]:
  return {one: np.flatnonzero(ids == one) for one in np.unique(ids).tolist()}


def _drawn(
  rows: dict[int, np.ndarray], image_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Rows of the images drawn, and the places of these images."""
  none = np.zeros(0, np.intp)
  each = [rows.get(one, none) for one in image_ids.tolist()]
  places = np.repeat(np.arange(len(each)), [len(one) for one in each])
  return np.concatenate([none, *each]), places
