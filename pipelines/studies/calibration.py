"""How fast this machine multiplies and adds, by kind, and what that makes of a cost.

Four small ONNX graphs, whose layers are of the sizes that detectors have, are run by
ONNX Runtime. What a network takes is then estimated from its multiply-adds of each
kind; what is done between them (activations, pooling, joining) is not seen, so real
times are longer, most so of networks with many small layers.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from hardmine.pipelines.studies.counting import (
  CONVOLUTION,
  CROP,
  DENSE,
  DEPTHWISE,
  POINTWISE,
)

# Kind to kernel, depth and positions a side of the layer that stands for it.
_LAYERS = {CONVOLUTION: (3, 256, 38), POINTWISE: (1, 512, 19), DEPTHWISE: (3, 256, 38)}
_NUM_LAYERS, _REPEATS = 4, 5


def measured_speeds(num_threads: int | None = None) -> dict[str, float]:
  """Multiply-adds a second by kind, in about a second.

  Args:
    num_threads: None takes the processors that this process may use.
  """
  speeds = {kind: _speed(kind, num_threads) for kind in _LAYERS}
  # one row at a time reads all weights for each: as a pointwise layer of few places
  speeds[DENSE] = speeds[POINTWISE]
  # samples are read where they lie, and nothing is reused
  speeds[CROP] = speeds[DEPTHWISE]
  return speeds


def estimated_seconds(
  multiply_adds: Mapping[str, int], speeds: Mapping[str, float]
) -> float:
  """About what a cost by kind takes at these speeds."""
  return sum(count / speeds[kind] for kind, count in multiply_adds.items())


def _speed(kind: str, num_threads: int | None) -> float:
  from hardmine.trainers.runtime.choice import ONNX_RUNTIME, open_graph

  kernel, depth, side = _LAYERS[kind]
  groups = depth if kind == DEPTHWISE else 1
  graph = open_graph(_graph(kernel, depth, side, groups), ONNX_RUNTIME, num_threads)
  pixels = {"x": np.zeros((1, depth, side, side), np.float32)}
  seconds = []
  for _ in range(_REPEATS + 1):
    started = time.perf_counter()
    graph.run(pixels)
    seconds.append(time.perf_counter() - started)
  count = _NUM_LAYERS * side**2 * kernel**2 * depth * depth // groups
  return count / statistics.median(seconds[1:])


def _graph(kernel: int, depth: int, side: int, groups: int) -> bytes:
  """Equal convolutions, one behind the other."""
  from onnx import TensorProto, helper

  def described(name: str) -> Any:
    return helper.make_tensor_value_info(
      name, TensorProto.FLOAT, [1, depth, side, side]
    )

  shape = (depth, depth // groups, kernel, kernel)
  values = np.random.default_rng(0).normal(0, 0.01, shape).astype(np.float32)
  weights = helper.make_tensor(
    "w", TensorProto.FLOAT, shape, values.tobytes(), raw=True
  )
  names = ["x", *(f"x{n}" for n in range(1, _NUM_LAYERS)), "y"]
  nodes = [
    helper.make_node(
      "Conv", [before, "w"], [after], pads=[kernel // 2] * 4, group=groups
    )
    for before, after in itertools.pairwise(names)
  ]
  graph = helper.make_graph(
    nodes, "layers", [described("x")], [described("y")], initializer=[weights]
  )
  return helper.make_model(
    graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
  ).SerializeToString()


def num_threads_here() -> int:
  """The processors that this process may use."""
  return len(os.sched_getaffinity(0))
