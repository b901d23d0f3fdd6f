"""A detector of two stages without TensorFlow: two ONNX graphs, and NumPy around them.

The first graph gives a map and a box an anchor, suppression makes proposals of these,
and the second graph looks at them in the map, which stays where the runtime has it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

import numpy as np

from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.schemas.exported_model import light_graph
from hardmine.trainers.detection.geometry import suppression
from hardmine.trainers.detection.running.light_network import (
  BOXES,
  PIXELS,
  SCORES,
  Surroundings,
  require_pixels,
)
from hardmine.trainers.runtime.choice import open_graph
from hardmine.trainers.runtime.graph import Value

FIRST, SECOND = "first_stage", "second_stage"
FEATURES, CANDIDATES, OBJECTNESS = "features", "candidates_yxyx_norm", "objectness"
PROPOSALS = "proposals_yxyx_norm"


class TwoStageNetwork:
  """See `hardmine.trainers.detection.running.detection_network.DetectionNetwork`.

  Several threads may ask one. The graphs are for any size of picture: ONNX Runtime was
  no faster where it knew the size.
  """

  def __init__(
    self,
    model_dir: str | os.PathLike,
    runtime: str,
    num_threads: int | None = None,
    max_proposals: int | None = None,
  ):
    """Opens the light form of an exported detector.

    Args:
      model_dir: its folder.
      runtime: see `hardmine.trainers.runtime.choice.open_graph`.
      num_threads: likewise.
      max_proposals: that the second stage looks at; None is what the facts say.
    """
    self._around = Surroundings(model_dir)
    facts = self._around.facts
    self._shape = facts["graphs"][FIRST]["inputs"][PIXELS]["shape"]
    self._num_categories = facts["graphs"][SECOND]["outputs"][SCORES]["shape"][1]
    proposals = PostprocessingConfig.from_json(json.dumps(facts["proposals"]))
    if max_proposals is not None:
      proposals = dataclasses.replace(
        proposals, max_per_class=max_proposals, max_detections=max_proposals
      )
    self._proposals = proposals
    self._first, self._second = (
      open_graph(light_graph(model_dir, name).read_bytes(), runtime, num_threads)
      for name in (FIRST, SECOND)
    )

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    boxes, scores = self.raw(self._around.prepared(image))
    return self._around.detections(image, boxes, scores)

  def raw(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the second graph gives, before the last suppression.

    Args:
      pixels: float32 of the shape that the facts say, in [0, 255].

    Returns:
      boxes_yxyx_norm [P, C, 4] and scores [P, C] of the proposals that there are.

    Raises:
      ValueError: the network does not take that size.
    """
    seen = self.see(pixels)
    return self.look(seen, self.propose(seen))

  def see(self, pixels: np.ndarray) -> dict[str, Value]:
    """What the first graph gives; see `raw`."""
    require_pixels(pixels, self._shape)
    return self._first.run({PIXELS: pixels})

  def propose(self, seen: Mapping[str, Value]) -> np.ndarray:
    """The places to look at, best first: float32 [P, 4]."""
    boxes, objectness = (seen[name].numpy() for name in (CANDIDATES, OBJECTNESS))
    scores = objectness[:, np.newaxis]
    return suppression.detections(boxes, scores, self._proposals).boxes_yxyx_norm

  def look(
    self, seen: Mapping[str, Value], proposals_yxyx_norm: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """What the second graph gives; see `raw`."""
    if not len(proposals_yxyx_norm):
      shape = (0, self._num_categories)
      return np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
    found = self._second.run({FEATURES: seen[FEATURES], PROPOSALS: proposals_yxyx_norm})
    return found[BOXES].numpy(), found[SCORES].numpy()
