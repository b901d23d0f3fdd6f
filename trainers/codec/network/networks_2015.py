"""Encoders and decoders of the networks of 2015 (1511.06085, sections 3.2 to 3.5).

Both work on an eighth of the resolution, where every position, that is every 8x8
pixels, gets 4 bits a pass. The codes of four neighbours are one position of the stream,
which covers 16x16 pixels. Sizes for a 32x32 image at width 1:

    fully connected: positions see nothing of one another

    E-FC     8x8 /8  tanh   4x4x512      D-FC     1x1  tanh   4x4x512 (residual only)
    E-RNN#1  1x1            4x4x512      D-RNN#1  1x1         4x4x512
    E-RNN#2  1x1            4x4x512      D-RNN#2  1x1         4x4x512
    B-FC     1x1     tanh   4x4x4        D-FC#2   1x1         4x4x192 -> 32x32x3

    convolutional: each arrow is a depth-to-space by 2

    E-Conv   3x3 /2  tanh  16x16x64      D-Conv#1 3x3  tanh   4x4x512 -> 8x8x128
    E-RNN#1  3x3 /2          8x8x256     D-RNN#1  3x3         8x8x256 -> 16x16x64
    E-RNN#2  3x3 /2          4x4x512     D-RNN#2  3x3        16x16x128 -> 32x32x32
    B-Conv   1x1     tanh    4x4x4       D-Conv#2 1x1        32x32x3

The unit decides the rest: a `FeedforwardCell` makes the residual networks, to which
`own_weights` gives weights of each pass, an LSTM the recurrent ones. Kernels on states
are 1x1. A fully connected layer on 8x8 patches is a convolution that does not overlap.
Where the paper leaves sizes open, they follow the re-implementations: three layers of
512, and 64, 256, 512 channels.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.schemas.codec_config import CODE_DEPTH_2015, CodecConfig
from hardmine.trainers.codec.cells.pass_conv import PassConv
from hardmine.trainers.codec.network.networks import depth_to_space, scaled_depth
from hardmine.trainers.graph_form import is_light

SCALE = 2  # positions of the networks a code position, along each side
PATCH_PX = 8
PATCH_BITS = CODE_DEPTH_2015 // SCALE**2


class _Network(keras.layers.Layer):
  """What encoder and decoder share.

  Attributes:
    cells: the units that may have states, in order.
    scales: positions of each a code position, along each side.
  """

  cells: list[Any]
  scales: tuple[int, ...]

  def __init__(self, config: CodecConfig, **kwargs: Any):
    super().__init__(**kwargs)
    self.config = config
    self.is_patchwise = config.network == "fully_connected"

  def initial_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """States for a code grid of `rows` x `columns` (the image over 16)."""
    return [
      cell.initial_states(batch, rows * scale, columns * scale)
      for cell, scale in zip(self.cells, self.scales)
    ]

  def _depth(self, depth: int) -> int:
    return scaled_depth(depth, self.config.width)

  def _plain(
    self, depth: int, kernel_size: int, strides: int = 1, **kwargs: Any
  ) -> Any:
    config = self.config
    return PassConv(
      depth, kernel_size, strides, config.own_weights, config.use_bias, **kwargs
    )

  def _cell(
    self, kind: type, depth: int, kernel_size: int, strides: int, name: str
  ) -> Any:
    own = {"passes": self.config.own_weights} if self.config.own_weights else {}
    return kind(
      self._depth(depth),
      kernel_size=kernel_size,
      strides=strides,
      use_bias=self.config.use_bias,
      name=name,
      **own,
    )


class Encoder2015(_Network):
  """A residual image to the values that the binarizer turns into bits."""

  def __init__(self, config: CodecConfig, **kwargs: Any):
    super().__init__(config, **kwargs)
    unit = config.cell.encoder_unit or config.cell
    if self.is_patchwise:
      self.stem = self._plain(
        self._depth(512), PATCH_PX, PATCH_PX, activation="tanh", name="e_fc"
      )
      layers, self.scales = ((512, 1, 1), (512, 1, 1)), (SCALE, SCALE)
    else:
      self.stem = self._plain(self._depth(64), 3, 2, activation="tanh", name="e_conv")
      layers, self.scales = ((256, 3, 2), (512, 3, 2)), (2 * SCALE, SCALE)
    self.cells = [
      self._cell(unit, *layer, name=f"e_rnn_{number}")
      for number, layer in enumerate(layers, start=1)
    ]
    self.head = self._plain(PATCH_BITS, 1, activation="tanh", name="b_conv")

  def call(
    self, residual: Any, states: list[Any], iteration: Any = 0
  ) -> tuple[Any, list[Any]]:
    """[b, 16r, 16c, 3] to values in (-1, 1), [b, r, c, 16], and new states."""
    features = self.stem(residual, iteration)
    features, states = _through(self.cells, features, states, iteration)
    return space_to_depth(self.head(features, iteration)), states


class Decoder2015(_Network):
  """Bits, as -1 and +1, to an image or to what an image still lacks."""

  def __init__(self, config: CodecConfig, **kwargs: Any):
    super().__init__(config, **kwargs)
    self.stem: Any = None
    if self.is_patchwise:
      if not config.cell.num_states:  # the residual network has three layers
        self.stem = self._plain(self._depth(512), 1, activation="tanh", name="d_fc")
      layers, self.scales = ((512, 1, 1), (512, 1, 1)), (SCALE, SCALE)
      self.head = self._plain(3 * PATCH_PX**2, 1, name="d_fc_2")
    else:
      self.stem = self._plain(self._depth(512), 3, activation="tanh", name="d_conv_1")
      layers, self.scales = ((256, 3, 1), (128, 3, 1)), (2 * SCALE, 4 * SCALE)
      self.head = self._plain(3, 1, name="d_conv_2")
    self.cells = [
      self._cell(config.cell, *layer, name=f"d_rnn_{number}")
      for number, layer in enumerate(layers, start=1)
    ]

  def call(
    self, codes: Any, states: list[Any], iteration: Any = 0
  ) -> tuple[Any, list[Any]]:
    """[b, r, c, 16] to [b, 16r, 16c, 3] and new states."""
    features = depth_to_space(codes)
    if self.stem is not None:
      features = self.stem(features, iteration)
    if self.is_patchwise:
      features, states = _through(self.cells, features, states, iteration)
      image = self.head(features, iteration)
      for _ in range(3):
        image = depth_to_space(image)
    else:
      features, states = _through(
        self.cells, depth_to_space(features), states, iteration, depth_to_space
      )
      image = self.head(features, iteration)
    if self.config.output_activation == "tanh":
      image = 0.5 * ops.tanh(image)
    return image, states


def _through(
  cells: list[Any],
  features: Any,
  states: list[Any],
  iteration: Any,
  behind: Any = lambda features: features,
) -> tuple[Any, list[Any]]:
  """Features behind all units, each with what is done behind it, and new states."""
  new_states = []
  for cell, state in zip(cells, states):
    time = (iteration,) if cell.takes_passes else ()
    features, state = cell(features, state, *time)
    features = behind(features)
    new_states.append(state)
  return features, new_states


def space_to_depth(inputs: Any) -> Any:
  """[b, 2h, 2w, c] to [b, h, w, 4c]; the inverse of `depth_to_space`."""
  if is_light():
    import tensorflow as tf

    return tf.nn.space_to_depth(inputs, SCALE)
  batch, height, width, depth = ops.shape(inputs)
  rows = ops.reshape(inputs, (batch, height // 2, 2, width // 2, 2, depth))
  blocks = ops.transpose(rows, (0, 1, 3, 2, 4, 5))
  return ops.reshape(blocks, (batch, height // 2, width // 2, 4 * depth))
