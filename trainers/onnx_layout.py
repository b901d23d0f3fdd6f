"""ONNX graphs of TensorFlow's layout (channels last) with their channels first.

TensorFlow's convolutions keep channels last, ONNX's first, so that a converter wraps
each in two transpositions. Here every tensor of four axes is kept channels first
throughout, the graph's inputs and outputs too; what cannot be written so keeps its
transpositions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FIRST = (0, 3, 1, 2)  # where each axis of [n, c, h, w] lies in [n, h, w, c]
LAST = (0, 2, 3, 1)
# fmt: off
_UNARY = frozenset((
  "Abs", "Cast", "Ceil", "Clip", "Elu", "Erf", "Exp", "Floor", "HardSigmoid",
  "HardSwish", "Identity", "LeakyRelu", "Log", "Neg", "Not", "Reciprocal", "Relu",
  "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh",
))
_BROADCASTING = frozenset((
  "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
  "Max", "Min", "Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where",
))
# fmt: on
_SPATIAL = frozenset(
  ["AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "MaxPool", "SpaceToDepth"]
)


def channels_first(model: Any) -> Any:
  """A model that computes the same of [n, c, h, w] as another of [n, h, w, c].

  Inputs that nothing uses are left out.

  Args:
    model: a ModelProto of one graph without sub-graphs; tensors of four axes are
      channels last.
  """
  import onnx

  return _Rewrite(onnx.shape_inference.infer_shapes(model)).model()


class _Rewrite:
  """One graph on its way; every tensor of four axes has one form or both.

  Attributes:
    is_first: for a tensor's name, whether its own values, as the original graph has
      them, are channels first; a transposition by the converter changes that alone.
    forms: for (value, is channels first) the name that holds it in the new graph.
    value: for a tensor's name that of the value it is, whichever way it lies.
  """

  def __init__(self, model: Any):
    from onnx import numpy_helper

    self.original = model
    graph = model.graph
    self.constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    self.rank = {name: array.ndim for name, array in self.constants.items()}
    for info in (*graph.value_info, *graph.input, *graph.output):
      self.rank[info.name] = len(info.type.tensor_type.shape.dim)
    self.outputs = {one.name for one in graph.output}
    self.nodes: list[Any] = []
    self.added: dict[str, np.ndarray] = {}
    self.forms: dict[tuple[str, bool], str] = {}
    self.value: dict[str, str] = {}
    self.is_first: dict[str, bool] = {}

  def model(self) -> Any:
    """The new model."""
    from onnx import helper, numpy_helper

    graph = self.original.graph
    for one in graph.input:
      if self.rank[one.name] == len(FIRST):
        self._register(one.name, is_first=False, form=(one.name, True))
    for node in graph.node:
      self._write(node)
    for one in graph.output:
      self._write_output(one.name)
    used = {name for node in self.nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    kept += [
      numpy_helper.from_array(array, name)
      for name, array in self.added.items()
      if name in used
    ]
    new = helper.make_graph(
      self.nodes,
      graph.name,
      [_first_info(one) for one in graph.input if one.name in used],
      [_first_info(one) for one in graph.output],
      kept,
    )
    return helper.make_model(
      new, opset_imports=self.original.opset_import, ir_version=self.original.ir_version
    )

  def _register(
    self, name: str, is_first: bool, form: tuple[str, bool] | None = None
  ) -> None:
    """A tensor of four axes that the new graph holds under its own name."""
    new_name, form_is_first = form or (name, is_first)
    self.value[name], self.is_first[name] = name, is_first
    self.forms[name, form_is_first] = new_name

  def _form(self, name: str, first: bool) -> str:
    """The name that holds a tensor's value with channels first, or last."""
    value = self.value[name]
    if (value, first) not in self.forms:
      new_name = f"{value}__{'first' if first else 'last'}"
      source = self.forms[value, not first]
      self._emit("Transpose", [source], [new_name], perm=FIRST if first else LAST)
      self.forms[value, first] = new_name
    return self.forms[value, first]

  def _emit(self, kind: str, inputs: Any, outputs: Any, **attributes: Any) -> None:
    from onnx import helper

    self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

  def _constant(self, name: str, array: np.ndarray) -> str:
    self.added[name] = np.ascontiguousarray(array)
    return name

  def _write(self, node: Any) -> None:
    """Adds a node of the original graph, in whichever form it can have."""
    four = [name for name in node.input if name in self.value]
    sides = {self.is_first[name] for name in four}
    if node.op_type == "Transpose" and four and self._write_transpose(node):
      return
    # What these give has its channels first, whatever is known of what they take.
    is_spatial = node.op_type in _SPATIAL or self._makes_channels(node)
    if not four or len(sides) > 1:
      return self._write_as_is(node, is_first=is_spatial)
    (is_first,) = sides
    if is_first:
      kinds = _UNARY | _BROADCASTING | {"Split", "Concat", "Tile"}
      return self._write_as_is(node, is_first=is_spatial or node.op_type in kinds)
    inputs = self._moved_inputs(node)
    if inputs is None:
      return self._write_as_is(node, is_first=is_spatial)
    moved = type(node)()
    moved.CopyFrom(node)
    moved.ClearField("input")
    moved.input.extend(inputs)
    for attribute in moved.attribute:
      if attribute.name == "axis":
        attribute.i = FIRST.index(attribute.i % len(FIRST))
      if attribute.name == "axes":
        axes = [FIRST.index(axis % len(FIRST)) for axis in attribute.ints]
        attribute.ints[:] = sorted(axes)
    self.nodes.append(moved)
    for name in node.output:
      if self.rank.get(name, len(FIRST)) == len(FIRST):
        self._register(name, is_first=False, form=(name, True))

  def _makes_channels(self, node: Any) -> bool:
    """Whether a vector becomes [1, c, 1, 1], as the converter does to biases."""
    if node.op_type != "Reshape":
      return False
    shape = self.constants.get(node.input[1])
    if shape is None or len(shape) != len(FIRST):
      return False
    first, _, *last = shape.tolist()
    return [first, *last] == [1, 1, 1]

  def _write_transpose(self, node: Any) -> bool:
    """Whether a transposition only renames a value that is kept anyway."""
    (name,), (output,) = node.input, node.output
    perm = tuple(node.attribute[0].ints)
    if perm != (LAST if self.is_first[name] else FIRST):
      return False
    self.value[output] = self.value[name]
    self.is_first[output] = not self.is_first[name]
    return True

  def _write_as_is(self, node: Any, is_first: bool) -> None:
    """On the original's forms of its inputs, whatever it does."""
    inputs = [
      self._form(name, self.is_first[name]) if name in self.value else name
      for name in node.input
    ]
    copy = type(node)()
    copy.CopyFrom(node)
    copy.ClearField("input")
    copy.input.extend(inputs)
    self.nodes.append(copy)
    for name in node.output:
      if self.rank.get(name) == len(FIRST):
        self._register(name, is_first)

  def _moved_inputs(self, node: Any) -> list[str] | None:
    """Inputs of a channels-last node for its channels-first twin; None has no twin."""
    kind = node.op_type
    if kind in _UNARY or kind in {"Split", "ReduceMean", "ReduceSum"}:
      rest = list(node.input[1:])
      if kind.startswith("Reduce") and not self._reduces_everything(node):
        return None
      return [self._form(node.input[0], True), *rest]
    if kind == "Tile" and node.input[1] in self.constants:
      repeats = self.constants[node.input[1]][list(FIRST)]
      name = self._constant(f"{node.output[0]}__repeats", repeats)
      return [self._form(node.input[0], True), name]
    if kind in _BROADCASTING or kind == "Concat":
      inputs = [self._broadcast(name) for name in node.input]
      return None if None in inputs else [name for name in inputs if name]
    return None

  def _reduces_everything(self, node: Any) -> bool:
    """Whether no axis but the first is left, or all stay where they are."""
    attributes = {one.name: one for one in node.attribute}
    axes = list(attributes["axes"].ints) if "axes" in attributes else []
    keeps = "keepdims" not in attributes or bool(attributes["keepdims"].i)
    return bool(axes) and (keeps or {axis % 4 for axis in axes} >= {1, 2, 3})

  def _broadcast(self, name: str) -> str | None:
    """An operand beside channels-first ones; None cannot be one."""
    if name in self.value:
      return self._form(name, True)
    rank = self.rank.get(name)
    new_name = f"{name}__first"
    if name in self.constants:
      array = self.constants[name]
      if array.size == 1:
        return name
      padded = array.reshape((1,) * (len(FIRST) - array.ndim) + array.shape)
      return self._constant(new_name, padded.transpose(FIRST))
    if rank == 0:
      return name
    if rank != 1:
      return None
    if f"{new_name}_shape" not in self.added:
      shape = self._constant(f"{new_name}_shape", np.array([-1, 1, 1], np.int64))
      self._emit("Reshape", [name, shape], [new_name])
    return new_name

  def _write_output(self, name: str) -> None:
    """Has an output of the graph bear its name.

    By renaming where that can be: OpenVINO mistakes an Identity's two names.
    """
    if name not in self.value:
      return
    held = self._form(name, True)
    if held == name:
      return
    makers = [node for node in self.nodes if held in node.output]
    if not makers or held in self.outputs:
      return self._emit("Identity", [held], [name])
    self._rename(name, f"{name}__last")
    self._rename(held, name)

  def _rename(self, old: str, new: str) -> None:
    for node in self.nodes:
      for names in (node.input, node.output):
        names[:] = [new if one == old else one for one in names]
    self.forms.update({key: new for key, held in self.forms.items() if held == old})


def _first_info(info: Any) -> Any:
  """What a graph says of an input or output, its channels first."""
  copy = type(info)()
  copy.CopyFrom(info)
  dims = copy.type.tensor_type.shape.dim
  if len(dims) == len(FIRST):
    for dim, axis in zip(dims, FIRST):
      dim.CopyFrom(info.type.tensor_type.shape.dim[axis])
  return copy
