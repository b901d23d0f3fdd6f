"""Graphs on OpenVINO, which on Intel's processors is often the fastest."""

from __future__ import annotations

import os
import queue
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino

from hardmine.trainers.runtime.graph import Value

# The one of this process, for ever. Its plugin gives the thread that first compiles a
# stack for signals and unmaps it at its end, whoever uses it then: where cores ended in
# the order of their beginnings, or in another thread, the next signal was the last.
_CORE = openvino.Core()


class OpenVinoGraph:
  """See `hardmine.trainers.runtime.graph.Graph`."""

  def __init__(self, model: str | os.PathLike | bytes, num_threads: int):
    self._compiled = _CORE.compile_model(
      _CORE.read_model(model if isinstance(model, bytes) else os.fspath(model)),
      "CPU",
      {
        "INFERENCE_NUM_THREADS": num_threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
      },
    )
    self.inputs = tuple(map(_name_of, self._compiled.inputs))
    self.outputs = tuple(map(_name_of, self._compiled.outputs))
    self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

  def run(self, inputs: Mapping[str, np.ndarray | Value]) -> dict[str, Value]:
    """All outputs by name, where OpenVINO wrote them."""
    lease = _Lease(self._request(), self._idle)
    # a tensor on an array's memory does not keep the array, nor does a request
    given = [_to_tensor(inputs[name]) for name in self.inputs]
    for name, (tensor, _) in zip(self.inputs, given):
      lease.request.set_tensor(name, tensor)
    lease.request.infer()
    return {name: _Output(lease, name) for name in self.outputs}

  def _request(self) -> Any:
    try:
      return self._idle.get_nowait()
    except queue.Empty:
      return self._compiled.create_infer_request()


class _Lease:
  """A request, which others may use once nothing holds what it gave."""

  def __init__(self, request: Any, idle: queue.SimpleQueue[Any]):
    self.request, self._idle = request, idle

  def __del__(self):
    self._idle.put(self.request)


class _Output:
  """A value of OpenVINO's, in the memory of the request that made it."""

  def __init__(self, lease: _Lease, name: str):
    self._lease = lease
    self.tensor = lease.request.get_tensor(name)

  def numpy(self) -> np.ndarray:
    return self.tensor.data.copy()


def _name_of(port: Any) -> str:
  """Its name in the file.

  A tensor that OpenVINO finds to be the same as another, as behind a cast to the type
  that it has, has the names of both.
  """
  node = port.node.friendly_name.split("/sink_port_")[0]
  return node if node in port.names else port.any_name


def _to_tensor(value: Any) -> tuple[Any, Any]:
  """A tensor, and what has to live as long as it is used."""
  if isinstance(value, _Output):
    return value.tensor, value
  values = value if isinstance(value, np.ndarray) else value.numpy()
  array = np.asarray(values, order="C")  # ascontiguousarray gives a scalar an axis
  return openvino.Tensor(array, shared_memory=True), array
