"""What every recurrent unit shares.

A cell maps one iteration's input and the states of the last one to an output
and new states. The input convolution has the layer's stride; the hidden one,
which sees the states, has stride 1 and its own kernel size.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.trainers.graph_form import is_light


class ConvCell(keras.layers.Layer):
  """Base of the convolutional recurrent units (1608.05148, section 3.1).

  A subclass sets `num_states` and `num_gates` and writes `call`. One that has no use
  for `encoder_unit` or `takes_passes` leaves them alone.

  Args:
    depth: channels of the output and of each state.
    kernel_size: side of the kernel on the input.
    hidden_kernel_size: side of the kernel on the state.
    strides: of the input convolution; the output is that much smaller.
    use_bias: adds one bias vector to the sum of both convolutions.
  """

  num_states = 1
  num_gates = 1
  encoder_unit: type[ConvCell] | None = None  # instead of itself in the encoder
  takes_passes = False  # has weights of each pass, where `passes` asks for them
  product_dtype: str | None = None  # of convolutions; None is the layer's own

  def __init__(
    self,
    depth: int,
    kernel_size: int,
    hidden_kernel_size: int = 1,
    strides: int = 1,
    use_bias: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.depth = depth
    self.kernel_size = kernel_size
    self.hidden_kernel_size = hidden_kernel_size
    self.strides = strides
    self.use_bias = use_bias

  def initial_states(self, batch: Any, height: Any, width: Any) -> list[Any]:
    """Zeros, one [batch, height, width, depth] a state; sizes are the output's."""
    shape = (batch, height, width, self.depth)
    return [ops.zeros(shape, self.compute_dtype) for _ in range(self.num_states)]

  def convolve(self, inputs: Any, kernel: Any, strides: int = 1) -> Any:
    """`convolve` with both factors and the result rounded to `product_dtype`."""
    if self.product_dtype is None:
      return convolve(inputs, kernel, strides)
    inputs, kernel = (ops.cast(one, self.product_dtype) for one in (inputs, kernel))
    return ops.cast(convolve(inputs, kernel, strides), self.compute_dtype)

  def add_kernel(
    self, name: str, kernel_size: int, input_depth: int, gates: float = 1
  ) -> Any:
    """A weight [k, k, input_depth, gates * depth]; truncated normal over fan-in."""
    return self.add_weight(
      name=name,
      shape=(kernel_size, kernel_size, input_depth, int(gates * self.depth)),
      initializer=keras.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal"),
    )

  def add_bias(self, gates: int = 1, forget_gate: int | None = None) -> Any:
    """A weight [gates * depth] of zeros, ones for the forget gate; None if unused."""
    if not self.use_bias:
      return None
    start = [0.0] * (gates * self.depth)
    if forget_gate is not None:
      first = forget_gate * self.depth
      start[first : first + self.depth] = [1.0] * self.depth
    return self.add_weight(
      name="bias",
      shape=(gates * self.depth,),
      initializer=lambda shape, dtype: ops.convert_to_tensor(start, dtype),
    )


SMALL_MAP = 16  # positions; below, convolution libraries reach a fifth of a product


def convolve(inputs: Any, kernel: Any, strides: int = 1) -> Any:
  """SAME convolution, [b, h, w, c] with [k, k, c, d] to [b, h/s, w/s, d].

  1x1 kernels and small maps of known size become one matrix product, which in
  training runs several times as fast as a convolution of 2x2 positions.
  """
  if is_light():
    return ops.conv(inputs, kernel, strides=strides, padding="same")
  side, _, depth, new_depth = kernel.shape
  height, width = inputs.shape[1:3]
  if side == 1 and strides == 1:
    columns = inputs
  elif height and width and -(-height // strides) * -(-width // strides) <= SMALL_MAP:
    columns = _taps(inputs, side, strides)
  else:
    return ops.conv(inputs, kernel, strides=strides, padding="same")
  product = ops.matmul(
    ops.reshape(columns, (-1, side * side * depth)),
    ops.reshape(kernel, (side * side * depth, new_depth)),
  )
  return ops.reshape(product, (*ops.shape(columns)[:3], new_depth))


def _taps(inputs: Any, side: int, strides: int) -> Any:
  """What each output position sees, [b, h/s, w/s, side * side * c]; sizes are known."""
  height, width, depth = inputs.shape[1:]
  selection, shape = _selection(height, width, side, strides)
  pixels = ops.reshape(inputs, (-1, height * width, depth))
  taps = ops.matmul(ops.cast(selection, inputs.dtype), pixels)
  return ops.reshape(taps, (-1, *shape, side * side * depth))


@functools.cache
def _selection(
  height: int, width: int, side: int, strides: int
) -> tuple[np.ndarray, tuple[int, int]]:
  """The 0/1 matrix that gathers taps: gradients of products beat those of slices.

  Returns:
    float32 [outputs * side * side, height * width], zero rows for the padding, and
    the output's height and width.
  """
  starts = []
  for size in (height, width):
    outputs = -(-size // strides)
    padding = max((outputs - 1) * strides + side - size, 0) // 2
    starts.append([position * strides - padding for position in range(outputs)])
  matrix = np.zeros((len(starts[0]), len(starts[1]), side, side, height, width), "f4")
  for (i, top), (j, left), dy, dx in itertools.product(
    enumerate(starts[0]), enumerate(starts[1]), range(side), range(side)
  ):
    if 0 <= top + dy < height and 0 <= left + dx < width:
      matrix[i, j, dy, dx, top + dy, left + dx] = 1.0
  return matrix.reshape(-1, height * width), (len(starts[0]), len(starts[1]))
