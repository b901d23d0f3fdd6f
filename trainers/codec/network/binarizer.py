"""The binarizer: a tanh value to one bit (1511.06085, section 3.1)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.replicas import own_rows


class Binarizer(keras.layers.Layer):
  """Maps values in (-1, 1) to -1 or +1, elementwise.

  In training +1 is drawn with probability (1 + v) / 2, so that the bit's
  expectation is v, and the gradient passes unchanged. Elsewhere v > 0 gives +1
  and anything else -1: never `sign`, whose zero no bit could carry.
  """

  def __init__(self, seed: int = 0, **kwargs: Any):
    super().__init__(**kwargs)
    self.seed_generator = keras.random.SeedGenerator(seed)

  def call(self, values: Any, training: bool = False) -> Any:
    threshold = 0.0
    if training:
      rows, *rest = ops.shape(values)
      threshold = own_rows(
        lambda rows: keras.random.uniform(
          (rows, *rest), -1.0, 1.0, dtype=values.dtype, seed=self.seed_generator
        ),
        rows,
      )
    return binarized(values, threshold, training)


def binarized(values: Any, threshold: Any, training: bool) -> Any:
  """-1 or +1 of values and thresholds in (-1, 1); in training with their gradient."""
  bits = ops.cast(ops.where(values > threshold, 1.0, -1.0), values.dtype)
  return values + ops.stop_gradient(bits - values) if training else bits
