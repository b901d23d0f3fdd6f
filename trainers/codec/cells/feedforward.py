"""A unit without a memory (1511.06085, sections 3.2 and 3.4)."""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.trainers.codec.cells.cell import ConvCell
from hardmine.trainers.codec.cells.pass_conv import add_pass_weights, of_pass


class FeedforwardCell(ConvCell):
  """o = tanh(W*x + b), of this pass alone, so that nothing recurs.

  With it the 2015 networks are the residual ones: each pass codes what the ones before
  left over.

  Args:
    depth: channels of the output.
    passes: that have a W and a b of their own; further ones take the last's, and 0
      shares one among all.
    **kwargs: of every unit; `hidden_kernel_size` has nothing to act on.
  """

  num_states = 0
  takes_passes = True

  def __init__(self, depth: int, *args: Any, passes: int = 0, **kwargs: Any):
    super().__init__(depth, *args, **kwargs)
    self.passes = passes

  def build(self, inputs_shape: Any, *_: Any) -> None:
    shape = (self.kernel_size, self.kernel_size, inputs_shape[-1], self.depth)
    self.kernel, self.bias = add_pass_weights(self, self.passes, shape, self.use_bias)

  def call(
    self, inputs: Any, states: list[Any], iteration: Any = 0
  ) -> tuple[Any, list[Any]]:
    kernel, bias = (
      of_pass(weight, self.passes, iteration) for weight in (self.kernel, self.bias)
    )
    features = self.convolve(inputs, kernel, self.strides)
    return ops.tanh(features if bias is None else features + bias), states
