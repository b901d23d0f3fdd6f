"""Convolutions that may have weights of their own in each pass (1511.06085)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.codec.cells.cell import convolve


def add_pass_weights(
  layer: keras.layers.Layer,
  passes: int,
  shape: tuple[int, int, int, int],
  use_bias: bool,
) -> tuple[Any, Any]:
  """A kernel and a bias of each pass, in one weight each, for `of_pass`.

  Args:
    layer: that the weights belong to, which is being built.
    passes: with weights of their own; 0 shares one set among all.
    shape: of one kernel, [k, k, c, d].
    use_bias: whether there is a bias, or None.
  """
  before = (passes,) if passes else ()
  kernel = layer.add_weight(
    name="kernel",
    shape=(*before, *shape),
    initializer=lambda shape, dtype: _drawn(shape, dtype, passes),
  )
  if not use_bias:
    return kernel, None
  bias = layer.add_weight(name="bias", shape=(*before, shape[-1]), initializer="zeros")
  return kernel, bias


def of_pass(weight: Any, passes: int, iteration: Any) -> Any:
  """That of an iteration, int32 [] from 0; further ones than `passes` have the last."""
  if weight is None or not passes:
    return weight
  return ops.take(weight, ops.minimum(iteration, passes - 1), 0)


class PassConv(keras.layers.Layer):
  """A SAME convolution, with weights as `add_pass_weights` makes them.

  Args:
    depth: channels of the output.
    kernel_size: side of the kernel.
    strides: the output is that much smaller.
    passes: likewise.
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
    shape = (self.kernel_size, self.kernel_size, inputs_shape[-1], self.depth)
    self.kernel, self.bias = add_pass_weights(self, self.passes, shape, self.use_bias)

  def call(self, inputs: Any, iteration: Any = 0) -> Any:
    """[b, h, w, c] to [b, h/s, w/s, depth]."""
    kernel, bias = (
      of_pass(weight, self.passes, iteration) for weight in (self.kernel, self.bias)
    )
    features = convolve(inputs, kernel, self.strides)
    return self.activation(features if bias is None else features + bias)


def _drawn(shape: Any, dtype: Any, passes: int) -> Any:
  """Truncated normal over the fan-in of one pass."""

  def one(shape: Any) -> Any:
    # anew each, since an initializer without a seed gives the same twice
    kind = keras.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal")
    return kind(shape, dtype)

  return ops.stack([one(shape[1:]) for _ in range(passes)]) if passes else one(shape)
