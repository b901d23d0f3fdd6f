"""Whether a graph of a codec's light form computes what the model does."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hardmine.trainers.onnx_layout import FIRST, LAST
from hardmine.trainers.runtime.choice import ONNX_RUNTIME, open_graph

_CODES = (2, 4)  # rows and columns of the code grid that both are asked about
_TOLERANCE = 1e-3


def check_step(
  name: str, path: os.PathLike, step: Any, scales: dict[str, float]
) -> None:
  """Runs both on the same random inputs.

  Args:
    name: of the graph, for the message.
    path: its file, channels first.
    step: the function that it was made from, channels last.
    scales: positions a code position of every input of four axes.

  Raises:
    RuntimeError: they differ.
  """
  inputs = [_random(spec, scales) for spec in step.signature]
  expected = step(*inputs)
  graph = open_graph(path, ONNX_RUNTIME, 1)
  found = graph.run(
    {spec.name: _moved(value, FIRST) for spec, value in zip(step.signature, inputs)}
  )
  for output, value in expected.items():
    ours, theirs = np.asarray(value), _moved(found[output].numpy(), LAST)
    if not np.allclose(ours, theirs, _TOLERANCE, _TOLERANCE):
      worst = np.abs(ours.astype(np.float64) - theirs).max()
      raise RuntimeError(
        "Expected a light form that computes what the model does. Received: "
        f"{output} of {name}.onnx differs by {worst:.3g}; perhaps tf2onnx converts an "
        "operation of the cell wrongly, which another would do as well"
      )


def _random(spec: Any, scales: dict[str, float]) -> np.ndarray:
  """What an input could hold."""
  dtype, rng = spec.dtype.as_numpy_dtype, np.random.default_rng(0)
  if spec.shape.rank != len(FIRST):
    return np.full(spec.shape.as_list(), 2, dtype)
  sides = [max(1, round(side * scales.get(spec.name, 1))) for side in _CODES]
  values = rng.uniform(-0.5, 0.5, (1, *sides, spec.shape[-1])).astype(dtype)
  return np.abs(values) + 1 if spec.name == "gain" else values


def _moved(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
  return value.transpose(axes) if value.ndim == len(axes) else value
