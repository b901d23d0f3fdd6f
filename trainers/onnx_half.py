"""ONNX graphs whose weights lie on the disk as float16, where that loses nothing.

Weights that were rounded to float16 once, as those of `hardmine train` are, take half
the room. A graph computes in float32 as before: every runtime folds the cast behind
such a constant when it opens the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_HALF = "__half"  # behind the name of a constant as it is stored
_WORTH_IT = 1024  # numbers; below, the cast takes what the halving saves


def is_exact_in_half(array: np.ndarray) -> bool:
  """Whether float32 numbers are the same after a way through float16."""
  with np.errstate(over="ignore"):
    return bool(np.array_equal(array.astype(np.float16).astype(np.float32), array))


def stored_in_half(model: Any) -> Any:
  """A model that computes the same to the last bit, each weight as small as it can be.

  Args:
    model: a ModelProto, which stays as it is.
  """
  from onnx import TensorProto, helper, numpy_helper

  new = type(model)()
  new.CopyFrom(model)
  casts = []
  for constant in new.graph.initializer:
    if constant.data_type != TensorProto.FLOAT:
      continue
    array = numpy_helper.to_array(constant)
    if array.size < _WORTH_IT or not is_exact_in_half(array):
      continue
    name = constant.name
    half = numpy_helper.from_array(array.astype(np.float16), name + _HALF)
    constant.CopyFrom(half)
    casts.append(
      helper.make_node("Cast", [half.name], [name], name, to=TensorProto.FLOAT)
    )
  nodes = [*casts, *new.graph.node]
  del new.graph.node[:]
  new.graph.node.extend(nodes)
  return new
