"""Associative LSTM (1608.05148, section 3.1, eq. 4-7; Danihelka et al. 2016)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from keras import ops

from hardmine.trainers.codec.cells.cell import ConvCell, convolve
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell

# Of f, i, o, the real parts of j, r_i, r_o and the imaginary ones, whose biases are 1.
_BEGIN_AT_ONE = (0, 4, 5)
_SEED = 160602032  # of the permutations, which are part of what the unit is


class AssociativeLSTMCell(ConvCell):
  """An LSTM whose memory holds values under keys, by products of complex numbers.

      (f, i, o), (j, r_i, r_o) = W*x + U*h + b
      f, i, o through sigmoid, real; j, r_i, r_o through bound, complex
      c' = f.c + r_i.(i.j)          the value j is written under the key r_i
      h' = o.bound(r_o.c')          and what lies under the key r_o is read

  with bound(z) = z / max(1, |z|). `depth` counts real channels: half of them are the
  real parts, then follow the imaginary ones, and the convolutions give 4.5 as many.
  The papers use it in the decoder only; the encoder has an LSTM.

  It has biases whatever `use_bias` says. Both keys begin at 1, under which it is an
  LSTM with bound in the place of tanh. Keys near 0 would have every layer multiply
  three small numbers, and behind four layers nothing is left to learn from.

  More `copies` of the memory, each under permuted keys, lessen how much the values
  disturb one another; what is read is their mean. The paper's equations have one. A
  subclass says otherwise: `class FourCopies(AssociativeLSTMCell): copies = 4`.
  """

  num_states = 3
  copies = 1
  encoder_unit = ConvLSTMCell

  def build(self, inputs_shape: Any, *_: Any) -> None:
    if self.depth % 2:
      raise ValueError(
        "Expected an even depth, half real and half imaginary parts. Received: "
        f"depth={self.depth}"
      )
    self.input_kernel = self.add_kernel(
      "input_kernel", self.kernel_size, inputs_shape[-1], gates=4.5
    )
    self.hidden_kernel = self.add_kernel(
      "hidden_kernel", self.hidden_kernel_size, self.depth, gates=4.5
    )
    ones = np.isin(np.arange(9), _BEGIN_AT_ONE).repeat(self.depth // 2)
    self.bias = self.add_weight(
      name="bias",
      shape=ones.shape,
      initializer=lambda _, dtype: ops.convert_to_tensor(ones, dtype),
    )

  def initial_states(self, batch: Any, height: Any, width: Any) -> list[Any]:
    """Zeros: h, and the real and the imaginary parts of all copies of c."""
    cells = self.copies * self.depth // 2
    return [
      ops.zeros((batch, height, width, depth), self.compute_dtype)
      for depth in (self.depth, cells, cells)
    ]

  def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    hidden, *memory = states
    gates = self.convolve(inputs, self.input_kernel, self.strides)
    gates += self.convolve(hidden, self.hidden_kernel) + self.bias
    cells = self.depth // 2
    sigmoids, real, imaginary = ops.split(gates, [3 * cells, 6 * cells], axis=-1)
    forget, write, read = ops.split(ops.sigmoid(sigmoids), 3, axis=-1)
    real, imaginary = bound(real, imaginary)
    value, key_in, key_out = zip(
      ops.split(real, 3, axis=-1), ops.split(imaginary, 3, axis=-1)
    )
    written = [self._repeated(write * part) for part in value]
    added = times([self._permuted(part) for part in key_in], written)
    forget = self._repeated(forget)
    memory = [forget * old + new for old, new in zip(memory, added)]
    found = times([self._permuted(part) for part in key_out], memory)
    hidden = ops.concatenate(
      [read * part for part in bound(*map(self._mean, found))], axis=-1
    )
    return hidden, [hidden, *memory]

  def _repeated(self, parts: Any) -> Any:
    """The same for all copies, one behind the other."""
    return parts if self.copies == 1 else ops.concatenate([parts] * self.copies, -1)

  def _permuted(self, parts: Any) -> Any:
    """A key as each copy knows it."""
    if self.copies == 1:
      return parts
    kernel = _permutations(self.depth // 2, self.copies)
    return convolve(parts, ops.convert_to_tensor(kernel, parts.dtype))

  def _mean(self, parts: Any) -> Any:
    """Over the copies."""
    if self.copies == 1:
      return parts
    return sum(ops.split(parts, self.copies, axis=-1)) / float(self.copies)


def bound(real: Any, imaginary: Any) -> tuple[Any, Any]:
  """z / max(1, |z|), elementwise; its gradient is finite at 0."""
  squared = real * real + imaginary * imaginary
  length = ops.sqrt(ops.maximum(squared, 1.0))
  return real / length, imaginary / length


def times(one: Any, other: Any) -> tuple[Any, Any]:
  """The product of complex numbers, elementwise, as real and imaginary parts."""
  (a, b), (c, d) = one, other
  return a * c - b * d, a * d + b * c


@functools.cache
def _permutations(cells: int, copies: int) -> np.ndarray:
  """A 1x1 kernel that shuffles channels for each copy; the first keeps their order.

  RandomState, whose numbers are the same in every version of NumPy.
  """
  rng = np.random.RandomState(_SEED % 2**32)
  orders = [np.arange(cells), *(rng.permutation(cells) for _ in range(copies - 1))]
  return np.concatenate([np.eye(cells, dtype="f4")[:, order] for order in orders], 1)[
    np.newaxis, np.newaxis
  ]
