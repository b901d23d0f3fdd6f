"""Finished detectors as one: each looks at every view of a picture, and all are fused.

Detectors may be of any kind and size, as it is boxes that are fused (`fusing`): first
those of the views of each model, then those of the models. Huang et al. (arXiv
1611.10012, section 4.3) average regions instead, of one pool of proposals, which asks
for models of two stages that share them.
"""

from __future__ import annotations

import collections
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import (
  IOU_THRESHOLD,
  WHOLE,
  Views,
  require_threshold,
  require_weight,
)
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.detection.ensembles.fusing import Answer, Fused, fuse
from hardmine.trainers.detection.ensembles.views import View, views_of

WITHOUT_AREA, CUT = "without area", "cut by a border of a crop"


class AnyDetector(Protocol):
  """What is asked of `hardmine.trainers.detection.detector.Detector`."""

  model_id: bytes
  categories: Categories

  def detect(self, image: np.ndarray) -> Detections:
    """The objects of uint8 [height, width, 3]."""
    ...


class Ensemble:
  """Finds objects with several models, or with one in several views.

  Several threads may ask one, if they may ask its models.

  Attributes:
    model_id: eight bytes that name models, weights, views and threshold.
    categories: what any of the models can find, by name.
    num_left_out: boxes that were left out so far, by the reason.
  """

  def __init__(
    self,
    detectors: Sequence[AnyDetector],
    weights: Sequence[float] | None = None,
    views: Views = WHOLE,
    iou_threshold: float = IOU_THRESHOLD,
  ):
    """Puts models together, in any order.

    Args:
      detectors: the models.
      weights: of their answers, above 0; None are equal ones.
      views: what each is shown.
      iou_threshold: see `fusing.fuse`.

    Raises:
      ValueError: no model, or other numbers than these can be.
    """
    require(len(detectors) > 0, "at least one model", detectors=len(detectors))
    weights = [1.0] * len(detectors) if weights is None else list(weights)
    require(
      len(weights) == len(detectors),
      f"{len(detectors)} weights, one a model",
      weights=weights,
    )
    for weight in weights:
      require_weight(weight)
    require_threshold(iou_threshold)
    self._detectors, self._weights = tuple(detectors), tuple(weights)
    self._views, self._iou_threshold = views, iou_threshold
    self.categories = joined([one.categories for one in detectors])
    self._tables = [ids_by_name(one.categories, self.categories) for one in detectors]
    self.model_id = self._id()
    self.num_left_out: collections.Counter[str] = collections.Counter()
    self._lock = threading.Lock()

  @property
  def num_passes(self) -> int:
    """How often a network runs for a picture."""
    return len(self._detectors) * self._views.num_passes

  def detect(self, image: np.ndarray, min_score: float = 0.0) -> Detections:
    """Finds objects in uint8 [h, w, 3] RGB pixels; boxes are in these pixels."""
    views = views_of(image.shape[0], image.shape[1], self._views)
    answers = []
    for detector, table, weight in zip(self._detectors, self._tables, self._weights):
      found = [
        answer_of(view, detector.detect(view.cut(image)), table) for view in views
      ]
      of_model = self._counted(fuse(found, self._iou_threshold))
      answers.append(as_answer(of_model, weight))
    fused = self._counted(fuse(answers, self._iou_threshold))
    return to_detections(fused).above(min_score)

  def detect_all(self, images: Iterable[np.ndarray]) -> Iterator[Detections]:
    """`detect` of one image after the other."""
    return map(self.detect, images)

  def _counted(self, fused: Fused) -> Fused:
    with self._lock:
      self.num_left_out[WITHOUT_AREA] += fused.num_without_area
      self.num_left_out[CUT] += fused.num_cut
    return fused

  def _id(self) -> bytes:
    members = sorted(
      f"{one.model_id.hex()} {weight!r}"
      for one, weight in zip(self._detectors, self._weights)
    )
    words = [*members, self._views.to_json(), repr(self._iou_threshold)]
    return hashlib.sha256("\n".join(words).encode("ascii")).digest()[:8]


def answer_of(view: View, found: Detections, ids: Mapping[int, int]) -> Answer:
  """What a model found in a view, in the picture's pixels and under common ids."""
  found = view.back(found)
  return Answer(
    boxes_yxyx=found.boxes_yxyx_px,
    scores=found.scores,
    labels=np.array([ids[one] for one in found.category_ids.tolist()], np.int64),
    whole_yxyx=view.whole_yxyx_px,
  )


def as_answer(fused: Fused, weight: float = 1.0) -> Answer:
  """What came of the views of a model, to be fused with other models'."""
  return Answer(
    boxes_yxyx=fused.boxes_yxyx,
    scores=fused.scores,
    labels=fused.labels,
    weight=weight,
  )


def to_detections(fused: Fused) -> Detections:
  """As detectors answer, best first."""
  return Detections(
    boxes_yxyx_px=fused.boxes_yxyx.astype(np.float32),
    scores=fused.scores.astype(np.float32),
    category_ids=fused.labels,
  )


def joined(several: Sequence[Categories]) -> Categories:
  """The categories of several models, by name; in whatever order these come.

  A name keeps the smallest id that a model has for it, unless another name before it
  in the alphabet has that: then it gets one that no model uses.
  """
  ids_of: dict[str, set[int]] = collections.defaultdict(set)
  for categories in several:
    for one in categories.categories:
      ids_of[one.name].add(one.id)
  taken: dict[int, str] = {}
  free = 1 + max(max(ids) for ids in ids_of.values())
  for name in sorted(ids_of):
    number = min(ids_of[name] - taken.keys(), default=free)
    free += number == free
    taken[number] = name
  return Categories(
    categories=tuple(Category(id=one, name=taken[one]) for one in sorted(taken))
  )


def ids_by_name(categories: Categories, common: Categories) -> dict[int, int]:
  """A model's category ids to those that common categories have for the same names."""
  known = dict(zip(common.names, common.ids))
  return {one.id: known[one.name] for one in categories.categories if one.name in known}
