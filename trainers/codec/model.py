"""The recurrent codec as a Keras model, on any Keras backend.

                 +---------+   +-----------+   +---------+
    x - xh  -->  | Encoder |-->| Binarizer |-->| Decoder |-->  reconstruction --> xh
       ^         +---------+   +-----------+   +---------+                         |
       +---------------------------------------------------------------------------+

One turn of the loop is an iteration and yields 32 bits per 16x16 pixels.
"""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
from keras import ops

from schemas.codec_config import STRIDE_PX, CodecConfig
from trainers.codec.binarizer import Binarizer
from trainers.codec.networks import Decoder, Encoder
from trainers.codec.reconstruction import build_reconstruction
from trainers.devices import num_replicas


class RecurrentCodec(keras.Model):
  """Nine codecs in one: three cells times three reconstruction frameworks.

  States are plain lists of tensors, so that a loop of any backend can carry them:
  `[encoder states, decoder states, estimate, gain]`.

  Args:
    config: the network.
    iterations: unrolled by `call`, that is in training.
    seed: of the binarizer's noise.
  """

  def __init__(
    self, config: CodecConfig, iterations: int = 16, seed: int = 0, **kwargs: Any
  ):
    super().__init__(**kwargs)
    self.config = config
    self.iterations = iterations
    self.encoder = Encoder(config, name="encoder")
    self.binarizer = Binarizer(seed, name="binarizer")
    self.decoder = Decoder(config, name="decoder")
    self.reconstruction = build_reconstruction(config)

  def build(self, _: Any) -> None:
    """Nothing here: every layer makes its weights when it is first called."""

  def decoder_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """What the decoder carries, before the first iteration of a code grid."""
    image_shape = (batch, rows * STRIDE_PX, columns * STRIDE_PX, 3)
    return [
      self.decoder.initial_states(batch, rows, columns),
      ops.zeros(image_shape, self.compute_dtype),
      self.reconstruction.initial_gain(batch, rows, columns),
    ]

  def encoder_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """What the encoder carries, before the first iteration of a code grid."""
    return self.encoder.initial_states(batch, rows, columns)

  def encode_step(
    self, images: Any, encoder_states: Any, decoder_states: Any, training: bool = False
  ) -> tuple[Any, Any]:
    """One iteration's codes, -1 or +1, [b, r, c, 32], and the encoder's new states."""
    _, estimate, gain = decoder_states
    residual = self.reconstruction.scale(images - estimate, gain)
    values, encoder_states = self.encoder(residual, encoder_states)
    return self.binarizer(values, training=training), encoder_states

  def decode_step(self, codes: Any, decoder_states: Any) -> Any:
    """The decoder's states after one iteration's codes; `[1]` is the estimate."""
    states, estimate, gain = decoder_states
    decoded, states = self.decoder(codes, states)
    estimate, gain = self.reconstruction.update(estimate, decoded, gain)
    return [states, estimate, gain]

  def call(self, images: Any, training: bool = False) -> Any:
    """Estimates after every iteration.

    Args:
      images: [b, h, w, 3] in [-0.5, 0.5], sides a multiple of `config.padding_px`.
      training: draws bits at random instead of thresholding.

    Returns:
      [iterations, b, h, w, 3], not clipped.
    """
    batch, height, width, _ = ops.shape(images)
    grid = (batch, height // STRIDE_PX, width // STRIDE_PX)
    encoder_states, decoder_states = (
      self.encoder_states(*grid),
      self.decoder_states(*grid),
    )
    estimates = []
    for _ in range(self.iterations):
      codes, encoder_states = self.encode_step(
        images, encoder_states, decoder_states, training
      )
      decoder_states = self.decode_step(codes, decoder_states)
      estimates.append(decoder_states[1])
    return ops.stack(estimates)

  def compute_loss(
    self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any
  ) -> Any:
    """Mean absolute residual over batch, pixels, colours and iterations (eq. 7)."""
    residuals = ops.cast(x, "float32") - ops.cast(y_pred, "float32")
    # Several devices add their gradients up: each contributes its share of the mean.
    return ops.mean(ops.abs(residuals)) / num_replicas()


def build_codec(
  config: CodecConfig, iterations: int = 16, seed: int = 0
) -> RecurrentCodec:
  """A codec with its weights made, drawn from `seed`."""
  keras.utils.set_random_seed(seed)
  codec = RecurrentCodec(config, iterations=1, seed=seed)
  codec(np.zeros((1, config.padding_px, config.padding_px, 3), "float32"))
  codec.iterations = iterations
  return codec


def codec_weights(codec: RecurrentCodec) -> list[np.ndarray]:
  """The weights that decide what a stream means, in the model's order."""
  return [np.asarray(ops.convert_to_numpy(w)) for w in codec.trainable_weights]


def model_id(codec: RecurrentCodec) -> bytes:
  """Eight bytes that name a model in a stream: SHA-256 over config and weights."""
  digest = hashlib.sha256(codec.config.to_json().encode("utf-8"))
  for weight in codec_weights(codec):
    digest.update(weight.astype("<f4").tobytes())
  return digest.digest()[:8]
