"""Measures a detector and the last blessed one on the same images, and judges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from hardmine.components.detection_evaluator.annotated_set import AnnotatedSet
from hardmine.components.detection_evaluator.images_ranked import (
  IOU_THRESHOLD,
  ShownImage,
  best_and_worst,
)
from hardmine.components.detection_evaluator.measurement import (
  AnyDetector,
  Measurement,
  measure_detector,
)
from hardmine.components.evaluation.environment import environment
from hardmine.components.evaluation.evaluation_set import evaluation_set
from hardmine.components.evaluation.judging import measure_and_judge
from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import AnnotatedImage
from hardmine.schemas.gates import Gate, Verdict
from hardmine.trainers.metrics.coco_map import confusion

Load = Callable[[], AnyDetector]
Report = Callable[[str], None]

PACKAGES = ("hardmine", "tensorflow", "tfx", "numpy", "hotcoco", "pillow")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
  """Everything that the files of an evaluation say.

  Attributes:
    verdict: what the gates say.
    data: the images and their ground truth.
    candidate: None where it could not be measured.
    rival: the last blessed model, if there was one that could be measured.
    confusion: int64 [categories + 1, categories + 1] of the candidate: true by found
      category, at `IOU_THRESHOLD` and from `shown_min_score`; the last column counts
      the missed, the last row false alarms.
    shown_min_score: of the detections in `confusion`, `best` and `worst`.
    best: the images that went best, best first.
    worst: the images that went worst, worst first.
    problems: what went wrong, in sentences; empty when all went well.
    environment: package to version.
    evaluation_set: names the images and their ground truth.
  """

  verdict: Verdict
  data: AnnotatedSet
  candidate: Measurement | None
  rival: Measurement | None
  confusion: np.ndarray | None
  shown_min_score: float
  best: tuple[ShownImage, ...]
  worst: tuple[ShownImage, ...]
  problems: tuple[str, ...]
  environment: dict[str, str]
  evaluation_set: str

  def metrics(self) -> dict[str, Any]:
    """The content of `metrics.json`: flat numbers first, then what they came from."""
    candidate = self.candidate
    return {
      **(candidate.metrics() if candidate else {}),
      "num_images": len(self.data.names),
      "evaluation_set": self.evaluation_set,
      "num_objects": self.data.num_objects,
      "num_detections": len(candidate.detections.scores) if candidate else 0,
      "per_category": self.per_category(candidate),
      "model_id": candidate.model_id if candidate else None,
      "baseline_model": {
        **self.rival.metrics(),
        "per_category": self.per_category(self.rival),
        "model_id": self.rival.model_id,
      }
      if self.rival
      else None,
      "problems": list(self.problems),
      "environment": self.environment,
    }

  def per_category(self, measurement: Measurement | None) -> list[dict[str, Any]]:
    """By label: id, name, number of objects, and COCO's numbers, -1 for none."""
    truth = self.data.truth
    objects = truth.box_category_ids[~truth.is_crowd]
    return [
      {
        "id": one.id,
        "name": one.name,
        "num_objects": int((objects == one.id).sum()),
        **measurement.coco.per_category[one.id],
      }
      for one in self.data.categories.categories
      if measurement is not None
    ]


def evaluate(
  load_candidate: Load,
  examples: Iterable[AnnotatedImage],
  categories: Categories,
  *,
  gates: tuple[Gate, ...],
  load_rival: Load | None = None,
  shown_min_score: float = 0.3,
  num_shown: int = 8,
  report: Report = lambda line: None,
) -> Evaluation:
  """Measures everything on the same images in one run.

  A model that cannot be loaded or fails on an image is no error here: it is not
  blessed, and the verdict says why. A blessed model that cannot be measured is one
  where a gate compares (`judging`).

  Args:
    load_candidate: gives the model.
    examples: annotated images; looped over several times.
    categories: what could be in them.
    gates: what to judge by.
    load_rival: gives the last blessed model, if there is one.
    shown_min_score: detections below it are measured, but neither drawn nor counted
      as confusions.
    num_shown: best and worst images, so many of each.
    report: is given lines of progress.

  Raises:
    ValueError: no image, or an object of an unknown category.
  """
  data = AnnotatedSet.of(examples, categories)
  judged = measure_and_judge(
    load_candidate,
    load_rival,
    lambda detector, _, title: measure_detector(detector, data, title, report),
    numbers=Measurement.measured,
    gates=gates,
    report=report,
  )
  assert judged.verdict is not None  # there are gates
  candidate = judged.candidate
  confused, best, worst = _looked_at(data, candidate, shown_min_score, num_shown)
  return Evaluation(
    verdict=judged.verdict,
    data=data,
    candidate=candidate,
    rival=judged.rival,
    confusion=confused,
    shown_min_score=shown_min_score,
    best=best,
    worst=worst,
    problems=judged.problems,
    environment=environment(PACKAGES),
    evaluation_set=_name_of(data),
  )


def _looked_at(
  data: AnnotatedSet, candidate: Measurement | None, min_score: float, num_shown: int
) -> tuple[np.ndarray | None, tuple[ShownImage, ...], tuple[ShownImage, ...]]:
  """(confusions, best images, worst images) of a candidate, if there is one."""
  if candidate is None:
    return None, (), ()
  confused = confusion(data.truth, candidate.detections, IOU_THRESHOLD, min_score)
  best, worst = best_and_worst(
    data, candidate, num_shown=num_shown, min_score=min_score
  )
  return confused, best, worst


def _name_of(data: AnnotatedSet) -> str:
  """Names the images as they are in their files, and all that is true of them."""
  truth = data.truth
  arrays = (
    truth.box_image_ids,
    truth.box_category_ids,
    truth.boxes_xywh_px,
    truth.areas_px,
    truth.is_crowd,
  )
  return evaluation_set(chain(arrays, (image.encoded for image in data.images)))
