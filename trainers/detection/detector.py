"""An exported detector at work: photographs to boxes.

Needs TensorFlow and the SavedModel, and nothing of TFX, Beam or Keras.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.trainers import saved_model


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

  def __init__(self, signatures: Any, facts: dict[str, Any]):
    self._signatures = signatures
    self.facts = facts
    self.model_id = bytes.fromhex(facts["model_id"])
    self.categories = Categories(
      categories=tuple(Category(**one) for one in facts["categories"])
    )

  @classmethod
  def load(cls, model_dir: str | os.PathLike) -> Detector:
    """Loads what `hardmine.trainers.detection.export` wrote.

    Raises:
      ValueError: the folder is not an exported detector.
    """
    module, facts = saved_model.load(model_dir, "detector")
    detector = cls(module.signatures, facts)
    detector._module = module  # the signatures hold their variables only weakly
    return detector

  def detect(self, image: np.ndarray, min_score: float = 0.0) -> Detections:
    """Finds objects in uint8 [h, w, 3] RGB pixels."""
    require(
      image.ndim == 3 and image.shape[-1] == 3 and image.dtype == np.uint8,
      "an image as uint8 [height, width, 3]",
      shape=image.shape,
      dtype=str(image.dtype),
    )
    return self._first("detect", image[np.newaxis], min_score)

  def detect_encoded(self, data: bytes, min_score: float = 0.0) -> Detections:
    """Finds objects in a JPEG, PNG, BMP or GIF file; EXIF orientation is ignored."""
    return self._first("detect_encoded", np.array([data], object), min_score)

  def detect_all(self, images: Iterable[np.ndarray]) -> Iterator[Detections]:
    """`detect` of one image after the other."""
    return map(self.detect, images)

  def _first(self, signature: str, images: np.ndarray, min_score: float) -> Detections:
    import tensorflow as tf

    answer = self._signatures[signature](images=tf.constant(images))
    num = int(answer["num_detections"][0])
    return Detections(
      **{
        field.name: answer[field.name][0, :num].numpy()
        for field in dataclasses.fields(Detections)
      }
    ).above(min_score)
