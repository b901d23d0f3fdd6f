"""Whether the ONNX graphs of a detector answer as it does, before anybody uses them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas.detector_config import Resizer
from hardmine.schemas.exported_model import light_graph
from hardmine.trainers.detection.inputs.preparation import prepare
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
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
from hardmine.trainers.runtime.choice import ONNX_RUNTIME, open_graph

_REMEDY = "perhaps a layer of the feature extractor is none that tf2onnx converts"
_TOLERANCE = 1e-4  # of 1, or of the largest number where there are larger ones
_SIZES = ((41, 50), (60, 30))  # of pictures, one wide and one high
_NUM_PROPOSALS = 10


def one_stage(
  model: MetaArchitecture, model_dir: str | os.PathLike, preparation: Resizer
) -> None:
  """Shows a batch of noise to the graph and to the model.

  Raises:
    RuntimeError: the graph does not run, or they prepare or see otherwise.
  """
  path = light_graph(model_dir, GRAPH)
  pictures = np.random.default_rng(0).integers(0, 256, (2, *_SIZES[0], 3), np.uint8)
  pixels = _prepared(path, model, pictures, preparation)
  boxes, scores = model.raw_detections(pixels)
  expected = {BOXES: boxes, SCORES: scores}
  _compare(path, _opened(path)({PIXELS: pixels.numpy()}), expected)


def two_stages(model: Any, model_dir: str | os.PathLike, preparation: Resizer) -> None:
  """Shows noise to the graphs and to the model, a picture at a time.

  Raises:
    RuntimeError: a graph does not run, or they prepare or see otherwise.
  """
  first, second = (light_graph(model_dir, name) for name in (FIRST, SECOND))
  see, look = _opened(first), _opened(second)
  rng = np.random.default_rng(0)
  for size in _SIZES:
    picture = rng.integers(0, 256, (1, *size, 3), np.uint8)
    pixels = _prepared(first, model, picture, preparation)
    features, boxes, objectness = model.candidates(pixels)
    expected = {FEATURES: features, CANDIDATES: boxes[0], OBJECTNESS: objectness[0]}
    _compare(first, see({PIXELS: pixels.numpy()}), expected)
    proposals, num = model.propose(boxes, objectness, _NUM_PROPOSALS)
    seen = model.classify(features, proposals, tf.fill([1], _NUM_PROPOSALS))
    del num  # what lies behind is a box without area, which is looked at as well
    given = {FEATURES: features.numpy(), PROPOSALS: proposals[0].numpy()}
    expected = {name: one[0] for name, one in zip((BOXES, SCORES), seen)}
    _compare(second, look(given), expected)


def _prepared(
  path: Path, model: MetaArchitecture, pictures: np.ndarray, preparation: Resizer
) -> Any:
  theirs = model.prepared(model.config, tf.constant(pictures))
  ours = np.stack([prepare(one, preparation) for one in pictures])
  _compare(path, {PIXELS: ours}, {PIXELS: theirs})
  return theirs


def _opened(path: Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
  """What runs a graph; both raise RuntimeError where ONNX Runtime cannot."""
  with _told(path):
    graph = open_graph(path, ONNX_RUNTIME)

  def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with _told(path):
      return {name: value.numpy() for name, value in graph.run(inputs).items()}

  return run


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # ONNX Runtime's own, none of which has a public base
    raise RuntimeError(
      f"{path}: ONNX Runtime cannot run the exported graph ({error}); {_REMEDY}"
    ) from error


def _compare(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
  """Raises RuntimeError unless both forms have the same values."""
  for name, values in expected.items():
    light, values = found[name], np.asarray(values)
    same_shape = light.shape == values.shape
    largest = np.abs(values[np.isfinite(values)]).max(initial=1)
    if same_shape and np.allclose(
      light, values, _TOLERANCE, _TOLERANCE * largest, equal_nan=True
    ):
      continue
    apart = f", up to {np.abs(light - values).max():.3g} apart" if same_shape else ""
    raise RuntimeError(
      f"{path}: the exported graph's {name} {light.shape} are not the model's "
      f"{values.shape}{apart}; {_REMEDY}"
    )
