"""ONNX graphs of gates that are convolved together, with a convolution for each.

A cell computes all gates by one convolution and splits what it gives, which suits
training. A runtime that keeps channels in blocks has to leave that layout for a split,
and could as well have convolved by a part of the kernel each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# fmt: off
_ELEMENTWISE = frozenset((
  "Add", "Clip", "Div", "Elu", "HardSigmoid", "Max", "Mul", "Reciprocal", "Relu",
  "Sigmoid", "Sqrt", "Sub", "Tanh",
))
# fmt: on


def split_gates(model: Any) -> Any:
  """A model, channels first, in which splits happen to constants wherever they can."""
  import onnx

  return _Rewrite(onnx.shape_inference.infer_shapes(model)).model()


class _Rewrite:
  """One graph on its way.

  Attributes:
    nodes: of the new graph, by the name of what they make.
    parts: the pieces of a tensor that were asked for, by name and bounds.
  """

  def __init__(self, model: Any):
    from onnx import numpy_helper

    self.original = model
    graph = model.graph
    self.constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    self.makers = {name: node for node in graph.node for name in node.output}
    self.users: dict[str, int] = {one.name: 1 for one in graph.output}
    for node in graph.node:
      for name in node.input:
        self.users[name] = self.users.get(name, 0) + 1
    self.channels = {
      one.name: one.type.tensor_type.shape.dim[1].dim_value
      for one in graph.value_info
      if len(one.type.tensor_type.shape.dim) == 4
    }
    self.added: dict[str, np.ndarray] = {}
    self.nodes: list[Any] = []
    self.parts: dict[tuple[str, int, int], str] = {}

  def model(self) -> Any:
    """The new model."""
    from onnx import helper, numpy_helper

    graph = self.original.graph
    for node in graph.node:
      if not self._write_split(node):
        self.nodes.append(node)
    needed = self._needed()
    used = {name for node in needed for name in node.input}
    constants = [one for one in graph.initializer if one.name in used]
    constants += [
      numpy_helper.from_array(np.ascontiguousarray(array), name)
      for name, array in self.added.items()
      if name in used
    ]
    new = helper.make_graph(
      needed, graph.name, list(graph.input), list(graph.output), constants
    )
    return helper.make_model(
      new, opset_imports=self.original.opset_import, ir_version=self.original.ir_version
    )

  def _needed(self) -> list[Any]:
    """The nodes that outputs follow from, in order."""
    wanted = {one.name for one in self.original.graph.output}
    needed = []
    for node in reversed(self.nodes):
      if wanted.intersection(node.output):
        wanted.update(node.input)
        needed.append(node)
    return needed[::-1]

  def _write_split(self, node: Any) -> bool:
    """Whether a node is a split whose parts could be made by themselves."""
    sizes = self._sizes(node) if node.op_type == "Split" else None
    if sizes is None or not self._is_divisible(node.input[0]):
      return False
    ends = np.cumsum(sizes).tolist()
    for output, start, end in zip(node.output, [0, *ends], ends):
      self._part(node.input[0], start, end, output)
    return True

  def _is_divisible(self, name: str) -> bool:
    """Whether any channels of a tensor can be computed without the others."""
    node = self.makers.get(name)
    if node is None:
      array = self.constants.get(name)
      return array is not None and (array.size == 1 or array.ndim >= 3)
    if node.op_type == "Conv":
      groups = [one.i for one in node.attribute if one.name == "group"]
      return groups in ([], [1]) and all(n in self.constants for n in node.input[1:])
    if node.op_type == "Split":
      return self._origin(name) is not None and self._is_divisible(node.input[0])
    if node.op_type == "Reshape":  # of a vector to what is added to channels
      return False
    return node.op_type in _ELEMENTWISE and all(map(self._is_divisible, node.input))

  def _sizes(self, split: Any) -> list[int] | None:
    """Channels of what a split gives; None where it splits other axes, or unknown."""
    axis = next((one.i for one in split.attribute if one.name == "axis"), 0)
    if axis != 1:
      return None
    if len(split.input) > 1:
      sizes = self.constants.get(split.input[1])
      return None if sizes is None else sizes.tolist()
    each, rest = divmod(self.channels.get(split.input[0], 0), len(split.output))
    return [each] * len(split.output) if each and not rest else None

  def _origin(self, name: str) -> int | None:
    """At which channel of a split's input one of its outputs begins."""
    sizes = self._sizes(self.makers[name])
    if sizes is None:
      return None
    return sum(sizes[: list(self.makers[name].output).index(name)])

  def _part(self, name: str, start: int, end: int, output: str | None = None) -> str:
    """Channels of a tensor, under a name of their own."""
    key = (name, start, end)
    if key in self.parts and output is None:
      return self.parts[key]
    array = self.constants.get(name)
    if array is not None:
      if array.size == 1:
        return name
      return self._constant(f"{name}__{start}_{end}", _channels(array, start, end))
    node = self.makers[name]
    if node.op_type == "Split":
      first = self._origin(name) or 0
      return self._part(node.input[0], first + start, first + end, output)
    copy = type(node)()
    copy.CopyFrom(node)
    self.parts[key] = output or f"{name}__{start}_{end}"
    if node.op_type == "Conv":
      rest = [
        self._constant(f"{one}__{start}_{end}", self.constants[one][start:end])
        for one in node.input[1:]
      ]
      copy.input[1:] = rest
    else:
      copy.input[:] = [self._part(one, start, end) for one in node.input]
    copy.output[:] = [self.parts[key]]
    copy.name = self.parts[key]
    self.nodes.append(copy)
    return self.parts[key]

  def _constant(self, name: str, array: np.ndarray) -> str:
    self.added[name] = array
    return name


def _channels(array: np.ndarray, start: int, end: int) -> np.ndarray:
  """Of what is added to [n, c, h, w]."""
  axis = array.ndim - 3
  if array.shape[axis] == 1:
    return array
  return np.take(array, range(start, end), axis)
