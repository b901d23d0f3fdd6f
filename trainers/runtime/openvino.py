"""Graphs on OpenVINO, which on Intel's processors is often the fastest."""

from __future__ import annotations

import os
import queue
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino

from hardmine.trainers.runtime.graph import Value


class OpenVinoGraph:
  """See `hardmine.trainers.runtime.graph.Graph`."""

  def __init__(self, path: str | os.PathLike, num_threads: int):
    self._compiled = openvino.Core().compile_model(
      os.fspath(path),
      "CPU",
      {
        "INFERENCE_NUM_THREADS": num_threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
      },
    )
    self.inputs = tuple(one.any_name for one in self._compiled.inputs)
    self.outputs = tuple(one.any_name for one in self._compiled.outputs)
    self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

  def run(self, inputs: Mapping[str, np.ndarray | Value]) -> dict[str, Value]:
    """All outputs by name."""
    request = self._request()
    # a tensor on an array's memory does not keep the array
    arrays = {name: _to_array(inputs[name]) for name in self.inputs}
    for name, array in arrays.items():
      request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    request.infer()
    found = {
      name: _Tensor(request.get_tensor(name).data.copy()) for name in self.outputs
    }
    self._idle.put(request)
    return found

  def _request(self) -> Any:
    try:
      return self._idle.get_nowait()
    except queue.Empty:
      return self._compiled.create_infer_request()


class _Tensor:
  """A value of OpenVINO's."""

  def __init__(self, values: np.ndarray):
    self._values = values

  def numpy(self) -> np.ndarray:
    return self._values


def _to_array(value: Any) -> np.ndarray:
  values = value if isinstance(value, np.ndarray) else value.numpy()
  return np.asarray(values, order="C")  # ascontiguousarray would give [] one axis
