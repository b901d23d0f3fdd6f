"""A detector's network as whoever runs it sees it, whatever runs it."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np

from hardmine.trainers.runtime.choice import TENSORFLOW


class DetectionNetwork(Protocol):
  """Finds objects in one picture at a time."""

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The objects of uint8 [h, w, 3], best first.

    Returns:
      boxes_yxyx_px float32 [n, 4], scores float32 [n], category_ids int64 [n].
    """
    ...


def open_network(
  model_dir: str | os.PathLike, runtime: str, num_threads: int | None = None
) -> DetectionNetwork:
  """Loads the form of an exported detector that a runtime runs.

  Args:
    model_dir: its folder.
    runtime: of `hardmine.trainers.runtime.choice.choose_runtime`.
    num_threads: of one call; None takes the processors that this process may use.
      TensorFlow always does.
  """
  if runtime == TENSORFLOW:
    from hardmine.trainers.detection.saved_model_network import SavedModelNetwork

    return SavedModelNetwork(model_dir)
  from hardmine.trainers.detection.light_network import LightNetwork

  return LightNetwork(model_dir, runtime, num_threads)
