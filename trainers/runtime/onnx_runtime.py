"""Graphs on ONNX Runtime, on CUDA where `onnxruntime-gpu` finds a device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from hardmine.trainers.runtime.graph import Value

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ERRORS_ONLY = 3


class OnnxRuntimeGraph:
  """See `hardmine.trainers.runtime.graph.Graph`."""

  def __init__(
    self,
    model: str | os.PathLike | bytes,
    num_threads: int,
    sides: Mapping[str, int] | None = None,
  ):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = _ERRORS_ONLY
    # a thread that spins takes the processor from the graph that runs in turn with this
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if sides is not None:
      for name, size in sides.items():
        options.add_free_dimension_override_by_name(name, size)
      # what one run needed is not kept for the next, which may be of another graph
      options.enable_cpu_mem_arena = False
      options.enable_mem_pattern = False
    available = onnxruntime.get_available_providers()
    self._session = onnxruntime.InferenceSession(
      model if isinstance(model, bytes) else os.fspath(model),
      options,
      providers=[name for name in _PROVIDERS if name in available],
    )
    self.inputs = tuple(one.name for one in self._session.get_inputs())
    self.outputs = tuple(one.name for one in self._session.get_outputs())

  def run(self, inputs: Mapping[str, np.ndarray | Value]) -> dict[str, Value]:
    """All outputs by name, as values that ONNX Runtime owns."""
    values = {
      name: _to_value(value) for name, value in inputs.items() if name in self.inputs
    }
    found = self._session.run_with_ort_values(list(self.outputs), values)
    return dict(zip(self.outputs, found))


def _to_value(value: Any) -> Any:
  if isinstance(value, onnxruntime.OrtValue):
    return value
  # ascontiguousarray would give a scalar an axis
  return onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray(value, order="C"))
