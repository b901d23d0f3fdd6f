"""A detector's network without TensorFlow: an ONNX graph, and NumPy around it."""

from __future__ import annotations

import os

import numpy as np


class LightNetwork:
  """See `hardmine.trainers.detection.detection_network.DetectionNetwork`."""

  def __init__(self, model_dir: str | os.PathLike, runtime: str):
    raise NotImplementedError

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    raise NotImplementedError
