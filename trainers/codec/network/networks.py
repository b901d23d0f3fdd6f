"""Encoder and decoder of the full-resolution codec (1608.05148, section 3, figure 1).

Sizes for a 32x32 image at width 1:

    E-Conv   3x3 /2            16x16x64    D-Conv#1 1x1            2x2x512
    E-RNN#1  3x3 /2 hidden 1x1   8x8x256   D-RNN#1  3x3 hid 1x1    2x2x512 -> 4x4x128
    E-RNN#2  3x3 /2 hidden 1x1   4x4x512   D-RNN#2  3x3 hid 1x1    4x4x512 -> 8x8x128
    E-RNN#3  3x3 /2 hidden 1x1   2x2x512   D-RNN#3  3x3 hid 3x3    8x8x256 -> 16x16x64
    B-Conv   1x1    tanh         2x2x32    D-RNN#4  3x3 hid 3x3  16x16x128 -> 32x32x32
                                           D-Conv#2 1x1          32x32x3

Every arrow is a depth-to-space by 2. All convolutions are SAME-padded; the plain
ones are linear and without bias, as in the independent re-implementations.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.schemas.codec_config import CODE_DEPTH, CodecConfig
from hardmine.trainers.graph_form import is_light


def scaled_depth(depth: int, width: float) -> int:
  """`depth` times `width`, to the nearest multiple of 4 (depth-to-space needs it)."""
  return max(4, 4 * round(depth * width / 4))


def depth_to_space(inputs: Any) -> Any:
  """[b, h, w, 4c] to [b, 2h, 2w, c]; channels hold (dy, dx, c), as in TensorFlow."""
  if is_light():
    import tensorflow as tf

    return tf.nn.depth_to_space(inputs, 2)
  batch, height, width, depth = ops.shape(inputs)
  blocks = ops.reshape(inputs, (batch, height, width, 2, 2, depth // 4))
  rows = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
  return ops.reshape(rows, (batch, 2 * height, 2 * width, depth // 4))


def plain_conv(depth: int, kernel_size: int, strides: int = 1, **kwargs: Any) -> Any:
  """A SAME convolution without bias."""
  initializer: Any = keras.initializers.VarianceScaling(
    1.0, "fan_in", "truncated_normal"
  )
  return keras.layers.Conv2D(
    depth,
    kernel_size,
    strides,
    padding="same",
    use_bias=False,
    kernel_initializer=initializer,
    **kwargs,
  )


class Clock(keras.layers.Layer):
  """Tells iterations apart: adds a vector of its own for each to what a stem gives.

  That is a one-hot of the iteration joined to the input of a 1x1 convolution, without
  the products with zeros.

  Args:
    iterations: rows of the table; further iterations read the last one.
  """

  def __init__(self, iterations: int, **kwargs: Any):
    super().__init__(**kwargs)
    self.iterations = iterations

  def build(self, features_shape: Any, *_: Any) -> None:
    self.table = self.add_weight(
      name="table", shape=(self.iterations, features_shape[-1]), initializer="zeros"
    )

  def call(self, features: Any, iteration: Any) -> Any:
    """[b, h, w, c] and the iteration, int32 [] from 0, to [b, h, w, c]."""
    row = ops.minimum(iteration, self.iterations - 1)
    return features + (ops.take(self.table, row, 0) if is_light() else self.table[row])


def build_clock(config: CodecConfig) -> Any:
  """A clock, or None where a config has none."""
  return Clock(config.clock, name="clock") if config.clock else None


class Encoder(keras.layers.Layer):
  """A residual image to the values that the binarizer turns into bits."""

  def __init__(self, config: CodecConfig, **kwargs: Any):
    super().__init__(**kwargs)
    deep = config.deep_width or config.width
    self.stem = plain_conv(scaled_depth(64, config.width), 3, 2, name="e_conv")
    self.clock = build_clock(config)
    unit = config.cell.encoder_unit or config.cell
    self.cells = [
      unit(
        scaled_depth(depth, width),
        kernel_size=3,
        hidden_kernel_size=1,
        strides=2,
        use_bias=config.use_bias,
        name=f"e_rnn_{number}",
      )
      for number, (depth, width) in enumerate(
        ((256, config.width), (512, deep), (512, deep)), start=1
      )
    ]
    self.head = plain_conv(CODE_DEPTH, 1, activation="tanh", name="b_conv")

  def initial_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """States for a code grid of `rows` x `columns` (the image over 16)."""
    return [
      cell.initial_states(batch, rows * scale, columns * scale)
      for cell, scale in zip(self.cells, (4, 2, 1))
    ]

  def call(
    self, residual: Any, states: list[Any], iteration: Any = 0
  ) -> tuple[Any, list[Any]]:
    """[b, 16r, 16c, 3] to values in (-1, 1), [b, r, c, 32], and new states."""
    features, new_states = self.stem(residual), []
    if self.clock is not None:
      features = self.clock(features, iteration)
    for cell, state in zip(self.cells, states):
      features, state = cell(features, state)
      new_states.append(state)
    return self.head(features), new_states


class Decoder(keras.layers.Layer):
  """Bits, as -1 and +1, to an image or to what an image still lacks."""

  def __init__(self, config: CodecConfig, **kwargs: Any):
    super().__init__(**kwargs)
    deep = config.deep_width or config.width
    self.output_activation = config.output_activation
    self.stem = plain_conv(scaled_depth(512, deep), 1, name="d_conv_1")
    self.clock = build_clock(config)
    self.cells = [
      config.cell(
        scaled_depth(depth, width),
        kernel_size=kernel_size,
        hidden_kernel_size=hidden_kernel_size,
        use_bias=config.use_bias,
        name=f"d_rnn_{number}",
      )
      for number, (depth, width, kernel_size, hidden_kernel_size) in enumerate(
        (
          (512, deep, config.d_rnn1_kernel, 1),
          (512, deep, 3, 1),
          (256, config.width, 3, 3),
          (128, config.width, 3, 3),
        ),
        start=1,
      )
    ]
    self.head = plain_conv(3, 1, name="d_conv_2")

  def initial_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """States for a code grid of `rows` x `columns`."""
    return [
      cell.initial_states(batch, rows * scale, columns * scale)
      for cell, scale in zip(self.cells, (1, 2, 4, 8))
    ]

  def call(
    self, codes: Any, states: list[Any], iteration: Any = 0
  ) -> tuple[Any, list[Any]]:
    """[b, r, c, 32] to [b, 16r, 16c, 3] and new states."""
    features, new_states = self.stem(codes), []
    if self.clock is not None:
      features = self.clock(features, iteration)
    for number, (cell, state) in enumerate(zip(self.cells, states), start=1):
      features, state = cell(features, state)
      new_states.append(state)
      if number < len(self.cells):
        features = depth_to_space(features)
    image = self._coloured(features)
    if self.output_activation == "tanh":
      image = 0.5 * ops.tanh(image)
    return image, new_states

  def _coloured(self, features: Any) -> Any:
    """[b, h, w, 4c] to [b, 2h, 2w, 3]."""
    if not is_light():
      return self.head(depth_to_space(features))
    # the same colours of all four at once: a convolution to 12 channels is faster than
    # one to 3 of four times as many positions
    _, _, depth, colours = self.head.kernel.shape
    blocks = ops.reshape(ops.eye(4), (4, 1, 4, 1)) * ops.reshape(
      self.head.kernel, (1, depth, 1, colours)
    )
    kernel = ops.reshape(blocks, (1, 1, 4 * depth, 4 * colours))
    return depth_to_space(ops.conv(features, kernel, padding="same"))
