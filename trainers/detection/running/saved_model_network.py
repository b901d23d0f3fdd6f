"""A detector's network on TensorFlow, from the SavedModel."""

from __future__ import annotations

import os

import numpy as np

from hardmine.trainers import saved_model


class SavedModelNetwork:
  """See `hardmine.trainers.detection.running.detection_network.DetectionNetwork`."""

  def __init__(self, model_dir: str | os.PathLike, max_proposals: int | None = None):
    """Loads the SavedModel.

    Args:
      model_dir: its folder.
      max_proposals: see `detection_network.open_network`.
    """
    self._module, _ = saved_model.load(model_dir, "detector")
    self._max_proposals = max_proposals

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    if self._max_proposals is None:
      return self._first("detect", images=image[np.newaxis])
    return self._first(
      "detect_of_proposals",
      images=image[np.newaxis],
      max_proposals=np.array(self._max_proposals, np.int32),
    )

  def detect_encoded(self, data: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`detect` of a JPEG, PNG, BMP or GIF file; EXIF orientation is ignored."""
    return self._first("detect_encoded", images=np.array([data], object))

  def _first(
    self, signature: str, **inputs: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import tensorflow as tf

    answer = self._module.signatures[signature](
      **{name: tf.constant(values) for name, values in inputs.items()}
    )
    num = int(answer["num_detections"][0])
    boxes, scores, category_ids = (
      answer[name][0, :num].numpy()
      for name in ("boxes_yxyx_px", "scores", "category_ids")
    )
    return boxes, scores, category_ids
