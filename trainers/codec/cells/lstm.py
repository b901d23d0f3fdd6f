"""Convolutional LSTM (1608.05148, section 3.1, eq. 1-3)."""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.trainers.codec.cells.cell import ConvCell


class ConvLSTMCell(ConvCell):
  """An LSTM without peepholes whose products are convolutions.

  (f, i, o, j) = W*x + U*h + b      f, i, o through sigmoid, j through tanh
  c' = f.c + i.j
  h' = o.tanh(c')                   the output, and with c' the states
  """

  num_states = 2

  def build(self, inputs_shape: Any, *_: Any) -> None:
    self.input_kernel = self.add_kernel(
      "input_kernel", self.kernel_size, inputs_shape[-1], gates=4
    )
    self.hidden_kernel = self.add_kernel(
      "hidden_kernel", self.hidden_kernel_size, self.depth, gates=4
    )
    self.bias = self.add_bias(gates=4, forget_gate=0)

  def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    hidden, memory = states
    gates = self.convolve(inputs, self.input_kernel, self.strides)
    gates += self.convolve(hidden, self.hidden_kernel)
    if self.bias is not None:
      gates += self.bias
    # split, not slices: the gradient of a slice fills a whole tensor with zeros
    sigmoids, candidate = ops.split(gates, [3 * self.depth], axis=-1)
    forget, write, read = ops.split(ops.sigmoid(sigmoids), 3, axis=-1)
    memory = forget * memory + write * ops.tanh(candidate)
    hidden = read * ops.tanh(memory)
    return hidden, [hidden, memory]
