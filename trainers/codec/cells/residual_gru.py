"""Residual GRU, the unit that the paper adds (1608.05148, section 3.1, eq. 12-13)."""

from __future__ import annotations

from typing import Any

from hardmine.trainers.codec.cells.gru import ConvGRUCell

RESIDUAL_SCALE = 0.1  # the paper's alpha_h and alpha_x


class ResidualGRUCell(ConvGRUCell):
  """A GRU with two linear shortcuts.

      h' = GRU(x, h) + 0.1 W_h*h        what recurs
      o  = h' + 0.1 W_ox*x              what the next layer sees

  The paper leaves both kernels' sizes open. 1x1 is what the authors' released
  graph shows for W_ox, which has the layer's stride; W_h follows it.
  """

  def build(self, inputs_shape: Any, *_: Any) -> None:
    super().build(inputs_shape)
    self.state_shortcut = self.add_kernel("state_shortcut", 1, self.depth)
    self.output_shortcut = self.add_kernel("output_shortcut", 1, inputs_shape[-1])

  def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    (hidden,) = states
    shortcut = self.convolve(hidden, self.state_shortcut)
    hidden = self.next_hidden(inputs, hidden) + RESIDUAL_SCALE * shortcut
    output = hidden + RESIDUAL_SCALE * self.convolve(
      inputs, self.output_shortcut, self.strides
    )
    return output, [hidden]
