"""AP of a detector that is being trained, on images that it is not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import AnnotatedImage, from_example
from hardmine.schemas.config import require
from hardmine.trainers.detection.inputs.annotated_set import (
  AnnotatedSet,
  detected_boxes,
  pixels_of,
)
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.metrics.coco_map import coco_map

METRICS = ("AP", "AP50")  # the first says what is best


class _Records:
  """Annotated images, read from their files anew by every loop."""

  def __init__(self, files: Sequence[str], max_images: int | None):
    self.files, self.max_images = files, max_images

  def __iter__(self) -> Iterator[AnnotatedImage]:
    number = -1 if self.max_images is None else self.max_images
    records: Any = tf.data.TFRecordDataset(self.files, "GZIP").take(number)
    return map(from_example, records.as_numpy_iterator())


class HeldOut:
  """What there is to find in the images of a split.

  Args:
    files: TFRecords of annotated images.
    categories: those that the detector learns.
    max_images: only the first so many, in order of file name; None takes all.

  Raises:
    ValueError: no object is there to be found, so that nothing could be measured.
  """

  def __init__(
    self, files: Sequence[str], categories: Categories, max_images: int | None = None
  ):
    self.data = AnnotatedSet.of(_Records(sorted(files), max_images), categories)
    num_images = len(self.data.names)
    require(
      self.data.num_objects > 0,
      "held-out images with objects, by which training.evaluate_steps measures; hold "
      "back more, or set it to null",
      num_images=num_images,
      num_objects=self.data.num_objects,
    )
    self._model: Any = None
    self._detect: Any = None

  def measure(self, model: MetaArchitecture) -> dict[str, float]:
    """`METRICS` of a model as it is, by COCO's rules: what the evaluator measures."""
    if self._model is not model:  # one graph for all measurements of a training
      spec = tf.nest.map_structure(
        lambda one: tf.TensorSpec([1, *one.shape], one.dtype),
        model.prepared_spec(model.config),
      )
      self._model, self._detect = model, tf.function(model.detections, [spec])
    found = [self._found(pixels_of(image)) for image in self.data.images]
    detections, _ = detected_boxes(self.data.truth, found)
    summary = coco_map(self.data.truth, detections).summary
    return {name: summary[name] for name in METRICS}

  def _found(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes in pixels, scores and category ids of one picture."""
    model = self._model
    inputs = model.prepared(model.config, pixels[np.newaxis])
    boxes, scores, labels, num = (one[0].numpy() for one in self._detect(inputs))
    sides = np.array(pixels.shape[:2] * 2, np.float32)
    category_ids = np.array(self.data.categories.ids)[labels[:num] - 1]
    return sides * boxes[:num], scores[:num], category_ids
