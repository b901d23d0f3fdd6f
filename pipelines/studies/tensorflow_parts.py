"""Networks that TensorFlow makes, exports and runs, in a process of their own."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hardmine.pipelines.studies.combinations import Combination
from hardmine.pipelines.studies.counting import built
from hardmine.pipelines.studies.load import candidates
from hardmine.pipelines.studies.timing import (
  FIRST_STAGE,
  POSTPROCESSING,
  PREPARATION,
  PROPOSALS,
  SECOND_STAGE,
  Parts,
)


def export(request: dict[str, Any]) -> dict[str, Any]:
  """Writes the light form of a network, with random weights, into `folder`.

  Raises:
    ValueError: its meta-architecture has none.
    RuntimeError: the light form does not answer as the network does.
  """
  from hardmine.schemas.exported_model import has_light_form
  from hardmine.trainers.detection.exports.light_export import write_light

  one = Combination.of(request["one"])
  write_light(built(one, with_values=True), request["folder"])
  if not has_light_form(request["folder"]):
    raise ValueError(
      "Expected a meta-architecture with a light form. Received: "
      f"{one.meta_architecture}, which runs on tensorflow alone"
    )
  return {}


def parts(request: dict[str, Any]) -> Parts:
  """The parts of a combination as graphs of TensorFlow, with random weights."""
  import tensorflow as tf

  num_threads = request["num_threads"] or len(os.sched_getaffinity(0))
  tf.config.threading.set_intra_op_parallelism_threads(num_threads)
  tf.config.threading.set_inter_op_parallelism_threads(num_threads)
  from hardmine.trainers.detection.geometry import nms

  one = Combination.of(request["one"])
  model = built(one, with_values=True)
  config, size = one.config, tuple(request["size_px"])
  load = _Loads()

  @tf.function
  def prepare(picture: Any) -> Any:
    return tf.image.resize(picture, size, "bilinear")[tf.newaxis]

  @tf.function
  def suppress(boxes: Any, scores: Any) -> Any:
    return nms.detections(boxes, scores, config.postprocessing)

  def postprocess(shapes: Any) -> None:
    suppress(*load.of(*shapes))[0].numpy()

  first = {PREPARATION: lambda picture: _done(prepare(tf.constant(picture)))}
  if one.num_proposals is None:
    raw = tf.function(model.raw_detections)
    stages = {FIRST_STAGE: lambda pixels: [v.shape for v in _done(raw(pixels))]}
  else:
    stages = _two_stages(model, load)
  return {**first, **stages, POSTPROCESSING: postprocess}


def _two_stages(model: Any, load: _Loads) -> Parts:
  import tensorflow as tf

  candidates_of = tf.function(model.candidates)
  propose = tf.function(model.propose)
  classify = tf.function(model.classify)
  num_proposals = model.config.proposals.max_proposals

  def run_first(pixels: Any) -> Any:
    features, boxes, _ = _done(candidates_of(pixels))
    return features, load.of(boxes.shape, (*boxes.shape[:2], 1))

  def run_proposals(found: Any) -> Any:
    features, (boxes, scores) = found
    proposals, _ = _done(propose(boxes, scores[..., 0]))
    return features, proposals

  def run_second(found: Any) -> Any:
    features, proposals = found
    num = tf.constant([num_proposals])  # the same work for every picture
    return [v.shape for v in _done(classify(features, proposals, num))]

  return {
    FIRST_STAGE: run_first,
    PROPOSALS: run_proposals,
    SECOND_STAGE: run_second,
  }


class _Loads:
  """Made-up pictures of a batch of one as tensors, each made once."""

  def __init__(self) -> None:
    self._found: dict[Any, Any] = {}

  def of(self, boxes: Any, scores: Any) -> Any:
    """Boxes and scores of these shapes."""
    import tensorflow as tf

    key = tuple(boxes), tuple(scores)
    if key not in self._found:
      made = candidates(*scores[1:], own_boxes=len(boxes) == 4)
      self._found[key] = tuple(tf.constant(one[np.newaxis]) for one in made)
    return self._found[key]


def _done(values: Any) -> Any:
  """What a graph gave, once it has: calls may return before."""
  for value in values if isinstance(values, (tuple, list)) else [values]:
    np.asarray(value)
  return values
