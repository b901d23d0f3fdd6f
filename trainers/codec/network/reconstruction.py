"""How the decoder's outputs add up to an image (1608.05148, section 3.2).

With x the image in [-0.5, 0.5], xh_t the estimate after iteration t and d_t what
the decoder says:

    one-shot           xh_t = d_t
    additive           xh_t = xh_{t-1} + d_t
    residual scaling   xh_t = xh_{t-1} + d_t / g_{t-1},   g_t = G(xh_t), g_0 = 1

The encoder sees x - xh_{t-1}, times g_{t-1} in residual scaling. The decoder
computes every g_t itself, so gains cost no bits.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.schemas.codec_config import STRIDE_PX, CodecConfig
from hardmine.trainers.codec.network.networks import plain_conv
from hardmine.trainers.graph_form import is_light


class Reconstruction(keras.layers.Layer):
  """One-shot (`carries=False`) and additive (`carries=True`) reconstruction."""

  def __init__(self, carries: bool, **kwargs: Any):
    super().__init__(**kwargs)
    self.carries = carries

  def initial_gain(self, batch: Any, rows: Any, columns: Any) -> Any:
    """The gain before the first iteration for a code grid; unused here."""
    return ops.ones((batch, 1, 1, 1), self.compute_dtype)

  def scale(self, residual: Any, gain: Any) -> Any:
    """What the encoder sees of the residual [b, h, w, 3]."""
    return residual

  def update(self, estimate: Any, decoded: Any, gain: Any) -> tuple[Any, Any]:
    """The estimate after an iteration, [b, h, w, 3], and the next gain."""
    return (estimate + decoded if self.carries else decoded), gain


class ResidualScaling(Reconstruction):
  """Additive reconstruction whose residuals are brought to a common size.

  The gain estimator is four 3x3 stride-2 convolutions of depth 32 and a 2x2 one
  of depth 1, all ELU, plus 2: one gain in (1, inf) for every 32x32 pixels.
  """

  def __init__(self, gain_input: str, **kwargs: Any):
    super().__init__(carries=True, **kwargs)
    self.gain_input = gain_input
    self.gain_layers = [
      plain_conv(32, 3, 2, activation="elu", name=f"gain_conv_{number}")
      for number in range(1, 5)
    ] + [plain_conv(1, 2, 2, activation="elu", name="gain_conv_5")]

  def initial_gain(self, batch: Any, rows: Any, columns: Any) -> Any:
    return ops.ones((batch, rows // 2, columns // 2, 1), self.compute_dtype)

  def scale(self, residual: Any, gain: Any) -> Any:
    return residual * enlarge(gain)

  def update(self, estimate: Any, decoded: Any, gain: Any) -> tuple[Any, Any]:
    step = decoded / enlarge(gain)
    estimate = estimate + step
    features = estimate if self.gain_input == "reconstruction" else step
    for layer in self.gain_layers:
      features = layer(features)
    return estimate, features + 2.0


def enlarge(gain: Any) -> Any:
  """[b, r/2, c/2, 1] to [b, 16r, 16c, 1], each gain repeated over its 32x32 pixels."""
  side = 2 * STRIDE_PX
  if is_light():
    import tensorflow as tf

    return tf.nn.depth_to_space(ops.tile(gain, (1, 1, 1, side**2)), side)
  return ops.repeat(ops.repeat(gain, side, axis=1), side, axis=2)


def build_reconstruction(config: CodecConfig) -> Reconstruction:
  """The framework that a config names."""
  match config.reconstruction:
    case "one_shot":
      return Reconstruction(carries=False, name="one_shot")
    case "additive":
      return Reconstruction(carries=True, name="additive")
    case "residual_scaling":
      return ResidualScaling(config.gain_input, name="residual_scaling")
