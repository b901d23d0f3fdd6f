"""Convolutions that may have weights of their own in each pass (1511.06085)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.codec.cells.cell import convolve


class PassKernel:
  """The kernel and the bias of each pass, one after the other in one weight each.

  Args:
    layer: that the weights belong to, which is being built.
    passes: with weights of their own; further ones take the last's, and 0 shares one
      set among all.
    kernel_size: side of the kernel.
    input_depth: channels that it reads.
    depth: channels that it gives.
    use_bias: has biases.
  """

  def __init__(
    self,
    layer: keras.layers.Layer,
    passes: int,
    kernel_size: int,
    input_depth: int,
    depth: int,
    use_bias: bool,
  ):
    self.passes = passes
    one = (kernel_size, kernel_size, input_depth, depth)
    self.kernel: Any = layer.add_weight(
      name="kernel",
      shape=(passes, *one) if passes else one,
      initializer=lambda shape, dtype: _drawn(shape, dtype, passes),
    )
    self.bias: Any = None
    if use_bias:
      shape = (passes, depth) if passes else (depth,)
      self.bias = layer.add_weight(name="bias", shape=shape, initializer="zeros")

  def __call__(self, iteration: Any) -> tuple[Any, Any]:
    """Of an iteration, int32 [] from 0: [k, k, c, d], and [d] or None."""
    if not self.passes:
      return self.kernel, self.bias
    row = ops.minimum(iteration, self.passes - 1)
    bias = None if self.bias is None else ops.take(self.bias, row, 0)
    return ops.take(self.kernel, row, 0), bias


class PassConv(keras.layers.Layer):
  """A SAME convolution, with weights as `PassKernel` has them.

  Args:
    depth: channels of the output.
    kernel_size: side of the kernel.
    strides: the output is that much smaller.
    passes: see `PassKernel`.
    use_bias: adds one.
    activation: of Keras, by its name.
  """

  def __init__(
    self,
    depth: int,
    kernel_size: int,
    strides: int = 1,
    passes: int = 0,
    use_bias: bool = False,
    activation: str = "linear",
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.depth = depth
    self.kernel_size = kernel_size
    self.strides = strides
    self.passes = passes
    self.use_bias = use_bias
    self.activation: Any = keras.activations.get(activation)

  def build(self, inputs_shape: Any, *_: Any) -> None:
    self.weights_of = PassKernel(
      self, self.passes, self.kernel_size, inputs_shape[-1], self.depth, self.use_bias
    )

  def call(self, inputs: Any, iteration: Any = 0) -> Any:
    """[b, h, w, c] to [b, h/s, w/s, depth]."""
    kernel, bias = self.weights_of(iteration)
    features = convolve(inputs, kernel, self.strides)
    return self.activation(features if bias is None else features + bias)


def _drawn(shape: Any, dtype: Any, passes: int) -> Any:
  """Truncated normal over the fan-in of one pass."""

  def one(shape: Any) -> Any:
    # anew each, since an initializer without a seed gives the same twice
    kind = keras.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal")
    return kind(shape, dtype)

  return ops.stack([one(shape[1:]) for _ in range(passes)]) if passes else one(shape)
