"""ONNX graphs whose states enter the blocked layout of ONNX Runtime and stay there.

ONNX Runtime convolves channels in blocks of 8 or 16, and puts what a convolution gives
back in order before an operation whose other operand never was in blocks, such as the
state of a recurrent unit beside its gates. Here such an operand goes through a
convolution by 1 that changes nothing, and a difference becomes a sum with a
convolution by -1, into which ONNX Runtime folds the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 16  # channels; the largest of any processor's


def in_blocks(model: Any) -> Any:
  """A model, channels first, that computes the same to the last bit but for NaN."""
  import onnx

  inferred = onnx.shape_inference.infer_shapes(model)
  return _Rewrite(inferred).model()


class _Rewrite:
  """One graph on its way."""

  def __init__(self, model: Any):
    self.original = model
    graph = model.graph
    self.channels = {
      one.name: one.type.tensor_type.shape.dim[1].dim_value
      for one in (*graph.value_info, *graph.input, *graph.output)
      if len(one.type.tensor_type.shape.dim) == 4
    }
    self.inputs = {one.name for one in graph.input}
    self.nodes: list[Any] = []
    self.kernels: dict[str, np.ndarray] = {}
    self.copies: dict[str, str] = {}

  def model(self) -> Any:
    """The new model."""
    from onnx import helper, numpy_helper

    graph = self.original.graph
    for node in graph.node:
      self._write(node)
    kernels = [numpy_helper.from_array(a, name) for name, a in self.kernels.items()]
    new = helper.make_graph(
      self.nodes,
      graph.name,
      list(graph.input),
      list(graph.output),
      [*graph.initializer, *kernels],
    )
    return helper.make_model(
      new, opset_imports=self.original.opset_import, ir_version=self.original.ir_version
    )

  def _write(self, node: Any) -> None:
    channels = {self.channels.get(name, 0) for name in node.input}
    (one,) = channels if len(channels) == 1 else (0,)
    fits = one > 0 and one % BLOCK == 0
    if not fits or node.op_type not in ("Add", "Mul", "Sub"):
      self.nodes.append(node)
      return
    copy = type(node)()
    copy.CopyFrom(node)
    for number, name in enumerate(node.input):
      if node.op_type == "Sub" and number == 1:
        copy.op_type = "Add"
        copy.input[number] = self._times(-1, name, one, node.output[0])
      elif name in self.inputs:
        copy.input[number] = self._copied(name, one)
    self.nodes.append(copy)

  def _copied(self, name: str, channels: int) -> str:
    """An input of the graph, in blocks."""
    if name not in self.copies:
      self.copies[name] = self._times(1, name, channels, name)
    return self.copies[name]

  def _times(self, factor: int, name: str, channels: int, of: str) -> str:
    """A tensor times 1 or -1."""
    from onnx import helper

    kernel = f"times_{'minus_' * (factor < 0)}1_{channels}"
    self.kernels[kernel] = np.full((channels, 1, 1, 1), factor, np.float32)
    output = f"{of}__{kernel}"
    self.nodes.append(
      helper.make_node(
        "Conv", [name, kernel], [output], output, group=channels, kernel_shape=[1, 1]
      )
    )
    return output
