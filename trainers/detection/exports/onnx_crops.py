"""Crops of boxes as one operation of ONNX.

`tf.image.crop_and_resize` samples a map at n x n points of a box, from border to
border. ONNX's RoiAlign with one sample a bin samples the middles of n x n bins of a
region: of one that is half a step larger than the box on every side they are the same
points. The mean over all points of a crop is RoiAlign's own, with one bin and n x n
samples.

Points beyond the map are zeros for TensorFlow, while RoiAlign repeats the map's border
for the length of one position. So what it gives is multiplied by a mask of the points
that the map has, unless it is known that all boxes lie inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_FARTHEST = 1e3  # of a box, as a share of the map: what is farther is as far
_ROUNDING = 1e-4  # positions beyond the border that rounding makes of a point at it
_CHANNELS_FIRST, _CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
_FLOAT, _INT64 = 1, 7  # ONNX's numbers of types


def handlers(boxes_inside: bool) -> dict[str, tuple[Callable[..., None], list[Any]]]:
  """What tf2onnx is to make of TensorFlow's operations, by their names.

  Args:
    boxes_inside: whether no box reaches beyond its map; nothing is masked then.
  """
  # tf2onnx takes the first argument for the name of an operation.
  return {"CropAndResize": (_crop_and_resize, [None, boxes_inside])}


def _crop_and_resize(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
  """Writes RoiAlign in the place of a node of tf2onnx's."""
  (boxes_inside,) = arguments
  image, boxes, index, _ = node.input
  size = [int(side) for side in node.inputs[3].get_tensor_value()]
  write = _Writer(graph, name)
  ends = _ends(write, image)
  corners = write("Mul", _numbers(write, boxes), ends)
  margins, offsets = _regions(size)
  one_mean = boxes_inside and size[0] == size[1] and _only_averaged(graph, node)
  points = [1, 1] if one_mean else size
  maps = write("Transpose", image, perm=_CHANNELS_FIRST)
  depth = (graph.get_shape(image) or [-1])[-1]
  if depth > 0 and not one_mean:
    maps = _in_blocks(write, maps, depth)
  crops = write(
    "RoiAlign",
    maps,
    write("Add", write("MatMul", corners, margins), offsets),
    write("Cast", index, to=_INT64),
    coordinate_transformation_mode="half_pixel",
    mode="avg",
    output_height=points[0],
    output_width=points[1],
    sampling_ratio=size[0] if one_mean else 1,
  )
  if not boxes_inside:
    crops = write("Mul", crops, _mask(write, corners, ends, size))
  (dtype,), (shape,) = node.output_dtypes, node.output_shapes
  outputs = node.output
  # Behind a reshape that changes nothing, all channels would be put last, and back.
  unchanged = [] if one_mean else _only_reshaped(graph, node)
  graph.remove_node(name)
  graph.make_node(
    "Transpose",
    [crops],
    {"perm": _CHANNELS_LAST},
    name=name,
    outputs=outputs,
    dtypes=[dtype],
    shapes=[[-1, *points, shape[3] if shape else -1]],
  )
  for reshaped in unchanged:
    graph.replace_all_inputs(reshaped, outputs[0])


class _Writer:
  """Adds nodes and constants to a graph of tf2onnx's, and gives their only outputs."""

  def __init__(self, graph: Any, name: str):
    self._graph, self._name, self._count = graph, name, 0

  def __call__(self, operation: str, *inputs: Any, **attributes: Any) -> str:
    names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
    node = self._graph.make_node(
      operation, names, attributes, name=self._new(operation)
    )
    return node.output[0]

  def constant(self, value: np.ndarray) -> str:
    """The name of an array."""
    return self._graph.make_const(self._new("constant"), value).output[0]

  def _new(self, what: str) -> str:
    self._count += 1
    return f"{self._name}/{what}_{self._count}"


def _in_blocks(write: _Writer, maps: str, depth: int) -> str:
  """The same maps, by way of a convolution, behind which channels lie in blocks.

  OpenVINO crops them ten times as fast then. What gives R-FCN's maps is one anyway.
  """
  ones = np.ones((depth, 1, 1, 1), np.float32)
  return write("Conv", maps, ones, group=depth, kernel_shape=[1, 1])


def _only_averaged(graph: Any, node: Any) -> bool:
  """Whether nothing but the means over all points of crops is made of them."""
  users = graph.find_output_consumers(node.output[0])
  if len(users) != 1 or users[0].type != "Mean" or node.output[0] in graph.outputs:
    return False
  axes = users[0].inputs[1]
  return axes.is_const() and sorted(np.ravel(axes.get_tensor_value())) == [1, 2]


def _only_reshaped(graph: Any, node: Any) -> list[str]:
  """What reshapes make of crops, one after the other, that ends in their own shape."""
  found, name = [], node.output[0]
  while True:
    users = graph.find_output_consumers(name)
    if len(users) != 1 or users[0].type != "Reshape" or name in graph.outputs:
      break
    found.append(name := users[0].output[0])
  own = graph.get_shape(node.output[0])
  while found and not _is_shape(graph.get_shape(found[-1]), own):
    found.pop()
  return found[-1:]


def _is_shape(shape: list[int] | None, own: list[int] | None) -> bool:
  """Whether all axes but the first, of which nothing is known, are the same."""
  if not shape or not own:
    return False
  return shape[1:] == own[1:] and min(own[1:]) > 0


def _numbers(write: _Writer, boxes: str) -> str:
  """Boxes with a number in every place, none so large that arithmetic ends."""
  zero = np.zeros((), np.float32)
  boxes = write("Where", write("IsNaN", boxes), zero, boxes)
  return write("Clip", boxes, *(np.float32(s * _FARTHEST) for s in (-1, 1)))


def _ends(write: _Writer, image: str) -> str:
  """float32 [4]: the last row, column, row and column of a map [b, h, w, c]."""
  sides = write("Slice", write("Shape", image), *_whole([1], [3], [0]))
  sides = write("Cast", sides, to=_FLOAT)
  ends = write("Sub", sides, np.ones(1, np.float32))
  return write("Concat", ends, ends, axis=0)


def _regions(size: list[int]) -> tuple[np.ndarray, np.ndarray]:
  """What makes RoiAlign's regions of corners: a product [4, 4], then a sum [4].

  Corners are ymin, xmin, ymax, xmax in positions, 0 in the middle of the first one.
  Regions are xmin, ymin, xmax, ymax, 0 at its outer edge.
  """
  product, offset = np.zeros((4, 4), np.float32), np.full(4, 0.5, np.float32)
  for first, num in enumerate(size):  # rows, then columns
    last, begin = first + 2, 1 - first
    end = begin + 2
    if num > 1:
      half_step = 0.5 / (num - 1)
      product[[first, last], begin] = 1 + half_step, -half_step
      product[[first, last], end] = -half_step, 1 + half_step
    else:  # a bin of one position around the middle
      product[np.ix_([first, last], [begin, end])] = 0.5
      offset[[begin, end]] = 0, 1
  return product, offset


def _mask(write: _Writer, corners: str, ends: str, size: list[int]) -> str:
  """float32 [P, 1, rows, columns]: 1 at the points of crops that the map has."""
  sides = []
  for first, num in enumerate(size):
    shares = np.linspace(0, 1, num) if num > 1 else np.array([0.5])
    product = np.zeros((4, num), np.float32)
    product[first], product[first + 2] = 1 - shares, shares
    at = write("MatMul", corners, product)  # [P, num]
    end = write("Slice", ends, *_whole([first], [first + 1], [0]))
    beyond = write("Add", end, np.array([_ROUNDING], np.float32))
    inside = write(
      "And",
      write("GreaterOrEqual", at, np.array([-_ROUNDING], np.float32)),
      write("LessOrEqual", at, beyond),
    )
    (axes,) = _whole([1, 3] if first == 0 else [1, 2])
    sides.append(write("Unsqueeze", write("Cast", inside, to=_FLOAT), axes))
  return write("Mul", *sides)


def _whole(*values: list[int]) -> list[np.ndarray]:
  """Each as int64."""
  return [np.array(one, np.int64) for one in values]
