"""Convolutional GRU (1608.05148, section 3.1, eq. 8-11)."""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.trainers.codec.cells.cell import ConvCell


class ConvGRUCell(ConvCell):
  """A GRU whose products are convolutions.

      z, r = sigmoid(W_z*x + U_z*h), sigmoid(W_r*x + U_r*h)
      h' = (1 - z).h + z.tanh(W*x + U*(r.h))

  Unlike Keras' own GRU, z weighs the new candidate, and r multiplies the state
  before its convolution.
  """

  def build(self, inputs_shape: Any, *_: Any) -> None:
    # z, r and the candidate read the input in one convolution.
    self.input_kernel = self.add_kernel(
      "input_kernel", self.kernel_size, inputs_shape[-1], gates=3
    )
    self.gates_kernel = self.add_kernel(
      "gates_kernel", self.hidden_kernel_size, self.depth, gates=2
    )
    self.candidate_kernel = self.add_kernel(
      "candidate_kernel", self.hidden_kernel_size, self.depth
    )
    self.bias = self.add_bias(gates=3)

  def next_hidden(self, inputs: Any, hidden: Any) -> Any:
    """h', [b, h, w, depth]."""
    from_input = self.convolve(inputs, self.input_kernel, self.strides)
    if self.bias is not None:
      from_input += self.bias
    gates, candidate = ops.split(from_input, [2 * self.depth], axis=-1)
    gates += self.convolve(hidden, self.gates_kernel)
    update, reset = ops.split(ops.sigmoid(gates), 2, axis=-1)
    candidate = ops.tanh(
      candidate + self.convolve(reset * hidden, self.candidate_kernel)
    )
    return hidden + update * (candidate - hidden)

  def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    (hidden,) = states
    hidden = self.next_hidden(inputs, hidden)
    return hidden, [hidden]
