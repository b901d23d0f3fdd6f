"""A detection on a light runtime, part by part, as `Detector` does it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hardmine.pipelines.studies.load import candidates
from hardmine.pipelines.studies.timing import (
  FIRST_STAGE,
  POSTPROCESSING,
  PREPARATION,
  PROPOSALS,
  SECOND_STAGE,
  Parts,
)
from hardmine.schemas.detector_config import PostprocessingConfig, Resizer, Stretched
from hardmine.schemas.exported_model import light_graph, read_light_facts
from hardmine.trainers.detection.geometry import suppression
from hardmine.trainers.detection.inputs.preparation import prepare
from hardmine.trainers.detection.running.light_network import (
  BOXES,
  GRAPH,
  PIXELS,
  SCORES,
)
from hardmine.trainers.runtime.choice import open_graph


def parts(request: dict[str, Any]) -> Parts:
  """The parts of a combination, whose network was exported into `folder`."""
  facts = read_light_facts(request["folder"])
  size = tuple(request["size_px"])
  resizer = Stretched(height_px=size[0], width_px=size[1])
  postprocessing = _config(facts["postprocessing"])
  if request["num_proposals"] is None:
    found = _one_stage(request, resizer)
  else:
    proposing = _config(
      {
        **facts["proposals"],
        "max_per_class": request["num_proposals"],
        "max_detections": request["num_proposals"],
      }
    )
    found = _two_stages(request, resizer, proposing)

  def suppress(shapes: Any) -> None:
    boxes, scores = _load(*shapes)
    suppression.detections(boxes, scores, postprocessing)

  return {**found, POSTPROCESSING: suppress}


def _one_stage(request: dict[str, Any], resizer: Resizer) -> Parts:
  network = _graph(request, GRAPH, {"batch": 1})

  def run(pixels: np.ndarray) -> Any:
    found = network.run({PIXELS: pixels})
    return found[BOXES].numpy()[0].shape, found[SCORES].numpy()[0].shape

  return {PREPARATION: _preparation(resizer), FIRST_STAGE: run}


def _two_stages(
  request: dict[str, Any], resizer: Resizer, proposing: PostprocessingConfig
) -> Parts:
  from hardmine.trainers.detection.running import light_two_stages as names

  first, second = _graph(request, names.FIRST), _graph(request, names.SECOND)

  def run_first(pixels: np.ndarray) -> Any:
    found = first.run({PIXELS: pixels})
    num_boxes = len(found[names.OBJECTNESS].numpy())
    return found[names.FEATURES], _load((num_boxes, 4), (num_boxes, 1))

  def propose(found: Any) -> Any:
    features, (boxes, scores) = found
    kept = suppression.detections(boxes, scores, proposing).boxes_yxyx_norm
    padded = np.zeros((request["num_proposals"], 4), np.float32)
    padded[: len(kept)] = kept  # the same work for every picture
    return features, padded

  def run_second(found: Any) -> Any:
    features, proposals = found
    seen = second.run({names.FEATURES: features, names.PROPOSALS: proposals})
    return seen[BOXES].numpy().shape, seen[SCORES].numpy().shape

  return {
    PREPARATION: _preparation(resizer),
    FIRST_STAGE: run_first,
    PROPOSALS: propose,
    SECOND_STAGE: run_second,
  }


def _preparation(resizer: Resizer) -> Any:
  return lambda picture: prepare(picture, resizer)[np.newaxis]


def _graph(
  request: dict[str, Any], name: str, sides: dict[str, int] | None = None
) -> Any:
  """As a `Detector` opens it."""
  model = light_graph(request["folder"], name).read_bytes()
  return open_graph(model, request["runtime"], request["num_threads"], sides)


def _config(values: dict[str, Any]) -> PostprocessingConfig:
  return PostprocessingConfig.from_json(json.dumps(values))


_loads: dict[Any, Any] = {}


def _load(boxes: tuple[int, ...], scores: tuple[int, ...]) -> Any:
  """That of shapes; made once, before it counts."""
  key = boxes, scores
  if key not in _loads:
    _loads[key] = candidates(*scores, own_boxes=len(boxes) == 3)
  return _loads[key]
