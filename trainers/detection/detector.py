"""An exported detector at work: photographs to boxes.

Runs the light form of a model (`hardmine.trainers.runtime`), and the SavedModel where
that is all there is or TensorFlow is asked for.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import read_facts
from hardmine.trainers.detection.running.detection_network import (
  DetectionNetwork,
  open_network,
)
from hardmine.trainers.runtime.choice import choose_runtime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detections:
  """What was found in one image, best first.

  Attributes:
    boxes_yxyx_px: float32 [n, 4]: ymin, xmin, ymax, xmax in pixels of the image.
    scores: float32 [n] in [0, 1].
    category_ids: int64 [n], as the data set numbers them.
  """

  boxes_yxyx_px: np.ndarray
  scores: np.ndarray
  category_ids: np.ndarray

  def __len__(self) -> int:
    return len(self.scores)

  def above(self, min_score: float) -> Detections:
    """Those that score at least so much."""
    return self._rows(self.scores >= min_score)

  def of(self, category_ids: Iterable[int]) -> Detections:
    """Those of some categories."""
    return self._rows(np.isin(self.category_ids, list(category_ids)))

  def surest(self, num: int) -> Detections:
    """The first so many."""
    return self._rows(slice(num))

  def _rows(self, rows: np.ndarray | slice) -> Detections:
    return Detections(
      **{f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)}
    )


class Detector:
  """Finds objects with one model.

  Attributes:
    model_id: eight bytes that name the model.
    facts: the exported `detector.json`.
    categories: what can be found.
  """

  def __init__(self, network: DetectionNetwork, facts: dict[str, Any]):
    self._network = network
    self.facts = facts
    self.model_id = bytes.fromhex(facts["model_id"])
    self.categories = Categories(
      categories=tuple(Category(**one) for one in facts["categories"])
    )

  @classmethod
  def load(
    cls,
    model_dir: str | os.PathLike,
    runtime: str | None = None,
    num_threads: int | None = None,
    max_proposals: int | None = None,
  ) -> Detector:
    """Loads what `hardmine.trainers.detection.exports.export` wrote.

    Args:
      model_dir: the exported model.
      runtime: see `hardmine.trainers.runtime.choice.choose_runtime`.
      num_threads: of one call; None takes the processors that this process may use.
      max_proposals: of a model of two stages: how many boxes the second looks at, 1 to
        what the model was exported with, which None is. Fewer are faster.

    Raises:
      ValueError: the folder is not an exported detector, there is no such runtime, or
        the model makes no proposals or not so many.
      RuntimeError: the runtime is not installed.
    """
    facts = read_facts(model_dir, "detector")
    runtime = choose_runtime(model_dir, runtime)
    return cls(open_network(model_dir, runtime, num_threads, max_proposals), facts)

  def detect(self, image: np.ndarray, min_score: float = 0.0) -> Detections:
    """Finds objects in uint8 [h, w, 3] RGB pixels."""
    require(
      image.ndim == 3 and image.shape[-1] == 3 and image.dtype == np.uint8,
      "an image as uint8 [height, width, 3]",
      shape=image.shape,
      dtype=str(image.dtype),
    )
    boxes, scores, category_ids = self._network.detect(image)
    return Detections(
      boxes_yxyx_px=boxes, scores=scores, category_ids=category_ids
    ).above(min_score)

  def detect_all(self, images: Iterable[np.ndarray]) -> Iterator[Detections]:
    """`detect` of one image after the other."""
    return map(self.detect, images)
