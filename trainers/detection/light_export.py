"""A trained detector as an ONNX graph that runs without TensorFlow.

    network   pixels float32 [batch, rows, columns, 3] in [0, 255], RGB, as the
                preparation of the facts makes them
              -> boxes_yxyx_norm float32 [batch, N, 4], not clipped
                 scores float32 [batch, N, C] in [0, 1], without the background

Nothing is suppressed in the graph: every runtime does that by the one setting that the
facts hold, so that no limit of an export's own comes between.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas.detector_config import Resizer
from hardmine.schemas.exported_model import LIGHT_FACTS, light_graph
from hardmine.schemas.files import write_atomically
from hardmine.trainers import onnx_export
from hardmine.trainers.detection.light_network import (
  BOXES,
  GRAPH,
  PIXELS,
  SCORES,
)
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.preparation import Prepared, prepare
from hardmine.trainers.runtime.choice import ONNX_RUNTIME, open_graph

_INPUT_AXES = ("batch", "rows", "columns", "depth")
_OUTPUT_AXES = ("batch", "boxes", "columns")
_REMEDY = "perhaps a layer of the feature extractor is none that tf2onnx converts"
_TOLERANCE = 1e-4  # of boxes in shares of the image, and of scores


def write_light(model: MetaArchitecture, model_dir: str | os.PathLike) -> None:
  """Writes the graph and, last, its facts into a model's folder.

  Nothing is written for a meta-architecture whose preparation NumPy cannot follow.

  Args:
    model: with weights.
    model_dir: the folder.

  Raises:
    RuntimeError: the graph does not answer as the model does.
  """
  preparation = model.preparation(model.config)
  if preparation is None:
    return
  spec = model.prepared_spec(model.config)
  spec = tf.TensorSpec([None, *spec.shape], spec.dtype, name=PIXELS)

  def raw(pixels: Any) -> dict[str, Any]:
    boxes, scores = model.raw_detections(pixels)
    return {BOXES: boxes, SCORES: scores}

  graph = onnx_export.to_onnx(raw, [spec])
  for one in graph.graph.input:
    _name_axes(one, _INPUT_AXES)
  for one in graph.graph.output:
    _name_axes(one, _OUTPUT_AXES)
  path = light_graph(model_dir, GRAPH)
  path.parent.mkdir(parents=True)
  path.write_bytes(graph.SerializeToString())
  _check(model, path, preparation)
  facts = {
    "graphs": {
      GRAPH: {
        "inputs": {one.name: _described(one) for one in graph.graph.input},
        "outputs": {one.name: _described(one) for one in graph.graph.output},
      }
    },
    **json.loads(Prepared(preparation=preparation).to_json()),
    "postprocessing": json.loads(model.config.postprocessing.to_json()),
    "written_by": onnx_export.versions(),
  }
  write_atomically(
    os.path.join(model_dir, LIGHT_FACTS),
    json.dumps(facts, indent=2, sort_keys=True) + "\n",
  )


def _name_axes(info: Any, names: tuple[str, ...]) -> None:
  """Gives the free axes of an input or output names that say what they are."""
  for axis, dim in enumerate(info.type.tensor_type.shape.dim):
    if not dim.HasField("dim_value"):
      dim.dim_param = names[axis]


def _described(info: Any) -> dict[str, Any]:
  """Sizes of axes, or their names where any size will do."""
  shape = [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
  return {"dtype": "float32", "shape": shape}


def _check(model: MetaArchitecture, path: Path, preparation: Resizer) -> None:
  """Shows a batch of noise to the graph and to the model.

  Raises:
    RuntimeError: the graph does not run, or they prepare or see otherwise.
  """
  pictures = np.random.default_rng(0).integers(0, 256, (2, 41, 50, 3), np.uint8)
  theirs = model.prepared(model.config, tf.constant(pictures))
  ours = np.stack([prepare(one, preparation) for one in pictures])
  try:
    found = open_graph(path, ONNX_RUNTIME).run({PIXELS: ours})
  except Exception as error:  # ONNX Runtime's own, none of which has a public base
    raise RuntimeError(
      f"{path}: ONNX Runtime cannot run the exported graph ({error}); {_REMEDY}"
    ) from error
  _compare(path, PIXELS, ours, theirs)
  for name, expected in zip((BOXES, SCORES), model.raw_detections(theirs)):
    _compare(path, name, found[name].numpy(), expected)


def _compare(path: Path, name: str, light: np.ndarray, expected: Any) -> None:
  """Raises RuntimeError unless both forms have the same values."""
  expected = np.asarray(expected)
  same_shape = light.shape == expected.shape
  if same_shape and np.allclose(
    light, expected, _TOLERANCE, _TOLERANCE, equal_nan=True
  ):
    return
  apart = f", up to {np.abs(light - expected).max():.3g} apart" if same_shape else ""
  raise RuntimeError(
    f"{path}: the exported graph's {name} {light.shape} are not the model's "
    f"{expected.shape}{apart}; {_REMEDY}"
  )
