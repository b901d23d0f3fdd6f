"""Models alone, in several views, and together: measured on images that chose nothing.

Half of the images choose: the order of the models, which of them are taken, and which
views pay. The other half judges what came of it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np

from hardmine.components.jobs.sources import held_back
from hardmine.pipelines.studies.choice import Candidate, Step, choose
from hardmine.pipelines.studies.passes import Passes, joined, passes_of
from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import WHOLE, Views
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.ensembles.ensemble import as_answer, ids_by_name
from hardmine.trainers.detection.ensembles.fusing import Answer, Fused, fuse
from hardmine.trainers.detection.inputs.annotated_set import (
  AnnotatedSet,
  detected_boxes,
)
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes
from hardmine.trainers.metrics.coco_map import CocoMap, coco_map, restricted

ENSEMBLE = "ensemble"  # its name among the models'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """A model that may become a member.

  Attributes:
    name: as it was given.
    folder: where it lies.
    detector: it, loaded.
    runtime: what runs it.
  """

  name: str
  folder: str
  detector: Detector
  runtime: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """One or several models in some views.

  Attributes:
    names: of the models.
    views: what each was shown.
    num_passes: of networks, for a picture.
    seconds: for a picture, one pass after the other, with fusing.
    choosing: COCO's numbers on the images that choose.
    judging: and on the others.
    by_category: AP by category id on the images that choose.
    boxes: everything that was found, in all images.
    num_left_out: boxes without area, or cut by a crop's border.
  """

  names: tuple[str, ...]
  views: Views
  num_passes: int
  seconds: float
  choosing: dict[str, float]
  judging: dict[str, float]
  by_category: dict[int, float]
  boxes: DetectedBoxes
  num_left_out: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """What a study found.

  Attributes:
    rows: models alone, the best first, then the ensemble where there is one.
    steps: how the members were chosen.
    single: the best model alone, whole pictures.
    chosen: the members in the views that were best on the images that choose.
    problems: models that could not be measured, and why.
  """

  rows: list[Row]
  steps: list[Step]
  single: Row
  chosen: Row
  problems: dict[str, str]


class Study:
  """Measures models on annotated images.

  Attributes:
    choosing: int64, ids of the images that choose.
    judging: those of the others.
  """

  def __init__(
    self,
    data: AnnotatedSet,
    passes: Passes,
    recipes: Sequence[Views],
    iou_threshold: float,
    judging_share: float,
  ):
    """Splits the images by their names alone.

    Args:
      data: the images.
      passes: runs models over them.
      recipes: views to try, the whole picture first.
      iou_threshold: see `fusing.fuse`.
      judging_share: of the images.

    Raises:
      ValueError: a part has no image, or nothing to be found.
    """
    # The salt: data may itself be a part that was held back by the same hash.
    names = {f"ensemble {name}" for name in data.names}
    require(len(names) > 1, "at least two annotated images", num_images=len(names))
    judging = held_back(names, judging_share)
    judges = np.array([f"ensemble {name}" in judging for name in data.names])
    self.choosing = data.truth.image_ids[~judges]
    self.judging = data.truth.image_ids[judges]
    boxes = data.truth.box_image_ids[~data.truth.is_crowd]
    for part in ("choosing", "judging"):
      ids = getattr(self, part)
      require(
        bool(np.isin(boxes, ids).any()),
        f"objects to be found in the {part} part of the images; give more images",
        num_images=len(ids),
      )
    self._data, self._passes, self._recipes = data, passes, tuple(recipes)
    self._iou_threshold = iou_threshold

  @property
  def num_passes(self) -> int:
    """Kinds of views, which each model is run on."""
    return len({one for views in self._recipes for one in passes_of(views)})

  def run(
    self, models: Sequence[Model], size: int, most_similar: float, on_step: Callable
  ) -> Outcome:
    """Runs all models, chooses, and judges.

    Args:
      models: at least one, in any order.
      size: of the ensemble, at most.
      most_similar: see `choice.choose`.
      on_step: called after each image of each pass.

    Raises:
      RuntimeError: no model could be measured.
      OSError: what was found cannot be kept.
    """
    problems = self._run_passes(models, on_step)
    usable = {one.name: one for one in models if one.name not in problems}
    if not usable:
      raise RuntimeError("; ".join(f"{name}: {why}" for name, why in problems.items()))
    alone = {
      name: [self.row([one], views) for views in self._recipes]
      for name, one in usable.items()
    }
    candidates = [
      Candidate(name=name, ap=rows[0].choosing["AP"], by_category=self._vector(rows[0]))
      for name, rows in alone.items()
    ]

    def together(names: Sequence[str]) -> float:
      return self.row([usable[name] for name in names], WHOLE).choosing["AP"]

    steps = choose(candidates, together, size, most_similar)
    members = [usable[step.name] for step in steps if step.taken]
    own = alone[members[0].name]
    together_rows = own
    if len(members) > 1:
      together_rows = [self.row(members, views) for views in self._recipes]
    # Of equals the one with fewest passes, which comes first.
    chosen = max(together_rows, key=lambda row: row.choosing["AP"])
    rows = [row for step in steps for row in alone[step.name]]
    return Outcome(
      rows=rows + (together_rows if len(members) > 1 else []),
      steps=steps,
      single=own[0],
      chosen=chosen,
      problems=problems,
    )

  def row(self, models: Sequence[Model], views: Views) -> Row:
    """Measures models in some views, from what their passes found."""
    seconds, fusing, num_left_out = 0.0, 0.0, 0
    of_models: list[list[Answer]] = []
    for one in models:
      found = [
        self._passes.read(one.detector, one.runtime, each) for each in passes_of(views)
      ]
      seconds += sum(each.seconds for each in found)
      started = time.perf_counter()
      fused = [fuse(answers, self._iou_threshold) for answers in joined(found)]
      fusing += time.perf_counter() - started
      num_left_out += _left_out(fused)
      of_models.append([as_answer(each) for each in fused])
    started = time.perf_counter()
    fused = [fuse(answers, self._iou_threshold) for answers in zip(*of_models)]
    fusing += time.perf_counter() - started
    truth = self._data.truth
    boxes, _ = detected_boxes(
      truth, [(each.boxes_yxyx, each.scores, each.labels) for each in fused]
    )
    choosing, judging = (
      coco_map(*restricted(truth, boxes, image_ids=ids))
      for ids in (self.choosing, self.judging)
    )
    return Row(
      names=tuple(one.name for one in models),
      views=views,
      num_passes=len(models) * views.num_passes,
      seconds=seconds + fusing / len(fused),
      choosing=choosing.summary,
      judging=judging.summary,
      by_category=_precisions(choosing),
      boxes=boxes,
      num_left_out=num_left_out + _left_out(fused),
    )

  def _run_passes(
    self, models: Sequence[Model], on_step: Callable[[], None]
  ) -> dict[str, str]:
    """Why models could not be run, by their names."""
    problems = {}
    everything = list(
      dict.fromkeys(each for views in self._recipes for each in passes_of(views))
    )
    for one in models:
      if not ids_by_name(one.detector.categories, self._data.categories):
        shown = ", ".join(self._data.categories.names[:5])
        problems[one.name] = f"it has no category of the annotations ({shown})"
        continue
      try:
        for each in everything:
          self._passes.run(one.detector, one.runtime, each, on_step)
      except OSError:
        raise
      except Exception as error:  # of any runtime: the others are measured all the same
        problems[one.name] = " ".join(str(error).split()) or type(error).__name__
    return problems

  def _vector(self, row: Row) -> np.ndarray:
    found = np.array([row.by_category[one] for one in self._data.categories.ids])
    return np.where(found < 0, np.nan, found)


def recipes(crops: int, flip: bool) -> list[Views]:
  """Views to try, from few passes to many."""
  found = [Views(), Views(flip=flip), Views(crops=crops), Views(crops=crops, flip=flip)]
  return sorted(dict.fromkeys(found), key=lambda views: views.num_passes)


def _precisions(found: CocoMap) -> dict[int, float]:
  return {category: values["AP"] for category, values in found.per_category.items()}


def _left_out(fused: Sequence[Fused]) -> int:
  return sum(each.num_without_area + each.num_cut for each in fused)
