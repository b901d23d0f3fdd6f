"""A trained detector as ONNX graphs that run without TensorFlow.

Of one stage:

    network        pixels float32 [batch, rows, columns, 3] in [0, 255], RGB, as the
                     preparation of the facts makes them
                   -> boxes_yxyx_norm float32 [batch, N, 4], not clipped
                      scores float32 [batch, N, C] in [0, 1], without the background

Of two stages:

    first_stage    pixels [1, rows, columns, 3]
                   -> features float32 [1, map_rows, map_columns, d]
                      candidates_yxyx_norm float32 [N, 4], clipped to the image
                      objectness float32 [N] in [0, 1]
    second_stage   features; proposals_yxyx_norm float32 [proposals, 4], any number
                   -> boxes_yxyx_norm float32 [proposals, C, 4], not clipped
                      scores float32 [proposals, C] in [0, 1], without the background

Nothing is suppressed in the graphs: every runtime does that by the settings that the
facts hold, so that no limit of an export's own comes between.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from hardmine.schemas.exported_model import LIGHT_FACTS, light_graph
from hardmine.schemas.files import write_atomically
from hardmine.trainers import onnx_export
from hardmine.trainers.detection.exports import light_check, onnx_crops
from hardmine.trainers.detection.geometry.boxes import clip
from hardmine.trainers.detection.inputs.preparation import Prepared
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.meta_architectures.proposals import suppression_of
from hardmine.trainers.detection.running.light_network import (
  BOXES,
  GRAPH,
  PIXELS,
  SCORES,
)
from hardmine.trainers.detection.running.light_two_stages import (
  CANDIDATES,
  FEATURES,
  FIRST,
  OBJECTNESS,
  PROPOSALS,
  SECOND,
)
from hardmine.trainers.graph_form import light_form


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Graph:
  """One graph to be.

  Attributes:
    function: of tensors by name, to tensors by name.
    inputs: what they are, by name.
    axes: names of the axes of inputs and outputs, for those whose size is free.
  """

  function: Callable[..., dict[str, Any]]
  inputs: dict[str, tf.TensorSpec]
  axes: dict[str, tuple[str, ...]]


def has_two_stages(model: MetaArchitecture) -> bool:
  """Whether a model first proposes boxes, of which any number may be looked at."""
  return all(hasattr(model, name) for name in ("candidates", "propose", "classify"))


def write_light(model: MetaArchitecture, model_dir: str | os.PathLike) -> None:
  """Writes the graphs and, last, their facts into a model's folder.

  Nothing is written for a meta-architecture whose preparation NumPy cannot follow.

  Args:
    model: with weights.
    model_dir: the folder.

  Raises:
    RuntimeError: a graph does not answer as the model does.
  """
  preparation = model.preparation(model.config)
  if preparation is None:
    return
  two_stages = has_two_stages(model)
  graphs = _two_stages(model) if two_stages else _one_stage(model)
  light_graph(model_dir, "").parent.mkdir(parents=True)
  described = {
    name: _write(graph, light_graph(model_dir, name)) for name, graph in graphs.items()
  }
  check = light_check.two_stages if two_stages else light_check.one_stage
  check(model, model_dir, preparation)
  facts = {
    "graphs": described,
    **json.loads(Prepared(preparation=preparation).to_json()),
    "postprocessing": json.loads(model.config.postprocessing.to_json()),
    "written_by": onnx_export.versions(),
  }
  if two_stages:
    facts["proposals"] = json.loads(suppression_of(model.config.proposals).to_json())
  write_atomically(
    os.path.join(model_dir, LIGHT_FACTS),
    json.dumps(facts, indent=2, sort_keys=True) + "\n",
  )


def _one_stage(model: MetaArchitecture) -> dict[str, _Graph]:
  def raw(pixels: Any) -> dict[str, Any]:
    boxes, scores = model.raw_detections(pixels)
    return {BOXES: boxes, SCORES: scores}

  found = ("batch", "boxes", "columns")
  return {
    GRAPH: _Graph(
      function=raw,
      inputs={PIXELS: _pixels(model, None)},
      axes={
        PIXELS: ("batch", "rows", "columns", "depth"),
        BOXES: found,
        SCORES: found,
      },
    )
  }


def _two_stages(model: Any) -> dict[str, _Graph]:
  def first(pixels: Any) -> dict[str, Any]:
    features, boxes, objectness = model.candidates(pixels)
    return {FEATURES: features, CANDIDATES: boxes[0], OBJECTNESS: objectness[0]}

  def second(features: Any, proposals: Any) -> dict[str, Any]:
    # None reaches beyond the map, so that crops need no mask.
    boxes = clip(proposals)[tf.newaxis]
    boxes, scores = model.classify(features, boxes, tf.shape(proposals)[:1])
    return {BOXES: boxes[0], SCORES: scores[0]}

  pixels = _pixels(model, 1)
  features = tf.TensorSpec(
    [1, *model.first_stage.output[FEATURES].shape[1:]], tf.float32, name=FEATURES
  )
  map_axes = ("batch", "map_rows", "map_columns", "depth")
  return {
    FIRST: _Graph(
      function=first,
      inputs={PIXELS: pixels},
      axes={
        PIXELS: ("batch", "rows", "columns", "depth"),
        FEATURES: map_axes,
        CANDIDATES: ("candidates", "edges"),
        OBJECTNESS: ("candidates",),
      },
    ),
    SECOND: _Graph(
      function=second,
      inputs={
        FEATURES: features,
        PROPOSALS: tf.TensorSpec([None, 4], tf.float32, name=PROPOSALS),
      },
      axes={
        FEATURES: map_axes,
        PROPOSALS: ("proposals", "edges"),
        BOXES: ("proposals", "categories", "edges"),
        SCORES: ("proposals", "categories"),
      },
    ),
  }


def _pixels(model: MetaArchitecture, batch: int | None) -> tf.TensorSpec:
  spec = model.prepared_spec(model.config)
  return tf.TensorSpec([batch, *spec.shape], spec.dtype, name=PIXELS)


def _write(graph: _Graph, path: Path) -> dict[str, Any]:
  """Writes one graph, and says what goes in and comes out."""
  with light_form():
    proto = onnx_export.to_onnx(
      graph.function,
      list(graph.inputs.values()),
      handlers=onnx_crops.handlers(boxes_inside=True),
    )
  for one in (*proto.graph.input, *proto.graph.output):
    dims = one.type.tensor_type.shape.dim
    for dim, name in zip(dims, graph.axes[one.name]):
      if not dim.HasField("dim_value"):
        dim.dim_param = name
  path.write_bytes(proto.SerializeToString())
  return {
    "inputs": {one.name: _described(one) for one in proto.graph.input},
    "outputs": {one.name: _described(one) for one in proto.graph.output},
  }


def _described(info: Any) -> dict[str, Any]:
  """Sizes of axes, or their names where any size will do."""
  shape = [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
  return {"dtype": "float32", "shape": shape}
