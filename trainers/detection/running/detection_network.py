"""A detector's network as whoever runs it sees it, whatever runs it."""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import read_facts, read_light_facts
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
  model_dir: str | os.PathLike,
  runtime: str,
  num_threads: int | None = None,
  max_proposals: int | None = None,
) -> DetectionNetwork:
  """Loads the form of an exported detector that a runtime runs.

  Args:
    model_dir: its folder.
    runtime: of `hardmine.trainers.runtime.choice.choose_runtime`.
    num_threads: of one call; None takes the processors that this process may use.
      TensorFlow always does.
    max_proposals: that the second of two stages looks at, 1 to what the model was
      exported with; None is that.

  Raises:
    ValueError: the model makes no proposals, or not so many.
  """
  if max_proposals is not None:
    _check_proposals(read_facts(model_dir, "detector"), max_proposals)
  if runtime == TENSORFLOW:
    from hardmine.trainers.detection.running.saved_model_network import (
      SavedModelNetwork,
    )

    return SavedModelNetwork(model_dir, max_proposals)
  if "proposals" in read_light_facts(model_dir):
    from hardmine.trainers.detection.running.light_two_stages import TwoStageNetwork

    return TwoStageNetwork(model_dir, runtime, num_threads, max_proposals)
  from hardmine.trainers.detection.running.light_network import LightNetwork

  return LightNetwork(model_dir, runtime, num_threads)


def _check_proposals(facts: dict[str, Any], max_proposals: int) -> None:
  proposals = facts["config"].get("proposals")
  require(
    proposals is not None,
    "a model of two stages, such as a Faster R-CNN, for a number of proposals; this "
    "one makes none, so leave the number out",
    max_proposals=max_proposals,
  )
  most = proposals["max_proposals"]
  require(
    1 <= max_proposals <= most,
    f"1 to {most} proposals, which is what the model was exported with",
    max_proposals=max_proposals,
  )
