"""What is measured of one detector."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hardmine.components.detection_evaluator.annotated_set import (
  AnnotatedSet,
  detected_boxes,
  pixels_of,
)
from hardmine.schemas.categories import Categories
from hardmine.schemas.config import require
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.metrics.coco_map import CocoMap, DetectedBoxes, coco_map


class AnyDetector(Protocol):
  """What is asked of `hardmine.trainers.detection.detector.Detector`."""

  model_id: bytes
  categories: Categories

  def detect(self, image: np.ndarray) -> Detections:
    """The objects of uint8 [height, width, 3]."""
    ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
  """One detector on all images.

  Attributes:
    title: for people.
    model_id: hex digits.
    detections: all of them, those of an image together and best first.
    coco: the twelve numbers and what they are means of.
    latency_seconds: mean of `detect` over the images; the first, which also sets
      the graph up, counts only where it is the only one.
    num_left_out: detections of categories that the images' annotations do not have.
  """

  title: str
  model_id: str
  detections: DetectedBoxes
  coco: CocoMap
  latency_seconds: float
  num_left_out: int

  def metrics(self) -> dict[str, float]:
    """The twelve numbers, -1 where there is nothing to measure, and the latency."""
    return {**self.coco.summary, "latency_seconds": self.latency_seconds}

  def measured(self) -> dict[str, float]:
    """What gates look at: a -1 is no small number, but none at all."""
    return {name: value for name, value in self.metrics().items() if value >= 0}

  def to_results(self) -> list[dict[str, Any]]:
    """The content of `detections.json`: COCO's results format."""
    columns = self.detections
    return [
      {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}
      for image_id, category_id, box, score in zip(
        columns.image_ids.tolist(),
        columns.category_ids.tolist(),
        columns.boxes_xywh_px.tolist(),
        columns.scores.tolist(),
      )
    ]


def measure_detector(
  detector: AnyDetector,
  data: AnnotatedSet,
  title: str,
  report: Callable[[str], None] = lambda line: None,
) -> Measurement:
  """Detects in every image, one by one, and compares with the ground truth.

  Raises:
    ValueError: the detector's categories are others than the annotations', or its
      boxes or scores are not usable.
  """
  _check_categories(detector.categories, data.categories)
  num_images, found, seconds = len(data.names), [], []
  for index, image in enumerate(data.images):
    pixels = pixels_of(image)
    started = time.perf_counter()
    found.append(detector.detect(pixels))
    seconds.append(time.perf_counter() - started)
    if (index + 1) % max(1, num_images // 20) == 0:
      report(f"{title}: {index + 1} of {num_images} images")
  detections, num_left_out = detected_boxes(
    data.truth, [(one.boxes_yxyx_px, one.scores, one.category_ids) for one in found]
  )
  measurement = Measurement(
    title=title,
    model_id=detector.model_id.hex(),
    detections=detections,
    coco=coco_map(data.truth, detections),
    latency_seconds=float(np.mean(seconds[1:] or seconds)),
    num_left_out=num_left_out,
  )
  summary = measurement.coco.summary
  report(
    f"{title}: AP {summary['AP']:.4f}, AP50 {summary['AP50']:.4f}, "
    f"{1000 * measurement.latency_seconds:.1f} ms per image"
  )
  return measurement


def _check_categories(of_model: Categories, of_data: Categories) -> None:
  """A number that means something else would make every score a wrong one.

  Either may have categories that the other lacks: those of the model alone are left
  out, those of the data alone are never found.
  """
  names = dict(zip(of_data.ids, of_data.names))
  for one in of_model.categories:
    require(
      names.get(one.id, one.name) == one.name,
      f"category {one.id} to be {names.get(one.id)!r}, as in the annotations",
      model=one.name,
    )
  require(
    not names.keys().isdisjoint(of_model.ids),
    "a detector of at least one category that the annotations have",
    model=of_model.names[:5],
    annotations=of_data.names[:5],
  )
