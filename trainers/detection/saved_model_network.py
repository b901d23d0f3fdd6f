"""A detector's network on TensorFlow, from the SavedModel."""

from __future__ import annotations

import os

import numpy as np

from hardmine.trainers import saved_model


class SavedModelNetwork:
  """See `hardmine.trainers.detection.detection_network.DetectionNetwork`."""

  def __init__(self, model_dir: str | os.PathLike):
    self._module, _ = saved_model.load(model_dir, "detector")

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    return self._first("detect", image[np.newaxis])

  def detect_encoded(self, data: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`detect` of a JPEG, PNG, BMP or GIF file; EXIF orientation is ignored."""
    return self._first("detect_encoded", np.array([data], object))

  def _first(
    self, signature: str, images: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import tensorflow as tf

    answer = self._module.signatures[signature](images=tf.constant(images))
    num = int(answer["num_detections"][0])
    boxes, scores, category_ids = (
      answer[name][0, :num].numpy()
      for name in ("boxes_yxyx_px", "scores", "category_ids")
    )
    return boxes, scores, category_ids
