"""The sent gain: every residual reaches the encoder at unit size.

Residuals shrink by a factor of ten and more over the iterations, and a network that
sees them as they are spends its later bits on values that its first layer hardly
notices. So the encoder measures the residual of a coding unit (a whole picture),
multiplies by one factor g and sends it; the decoder divides what it decoded by g.

    k = round(4 log2(1 / rms))     0 to 63, one byte of the stream
    g = 2^(k / 4)                  within 9 % of 1 / rms

The decoder never measures anything itself, so it cannot disagree with the encoder.
It is no part of residual scaling (1608.05148, section 3.2), whose gains a network
estimates from what was decoded.
"""

from __future__ import annotations

from typing import Any

from keras import ops

STEPS_PER_OCTAVE = 4
MAX_EXPONENT = 63  # a gain of 55,109: any residual of 8-bit pixels is above its inverse


def exponents(residual: Any) -> Any:
  """k of each image of [b, h, w, 3]: int32 [b], from 0 to `MAX_EXPONENT`."""
  power = ops.mean(ops.square(ops.cast(residual, "float32")), axis=(1, 2, 3))
  octaves = -0.5 * ops.log2(ops.maximum(power, 1e-12))
  steps = ops.round(STEPS_PER_OCTAVE * octaves)
  return ops.cast(ops.clip(steps, 0, MAX_EXPONENT), "int32")


def factors(exponents: Any) -> Any:
  """g of int32 [b], shaped to multiply images: float32 [b, 1, 1, 1]."""
  octaves = ops.cast(exponents, "float32") / STEPS_PER_OCTAVE
  return ops.reshape(ops.exp2(octaves), (-1, 1, 1, 1))
