"""The recurrent codec as a Keras model, on any Keras backend.

                 +---------+   +-----------+   +---------+
    x - xh  -->  | Encoder |-->| Binarizer |-->| Decoder |-->  reconstruction --> xh
       ^         +---------+   +-----------+   +---------+                         |
       +---------------------------------------------------------------------------+

One turn of the loop is an iteration and yields 32 bits per 16x16 pixels, or 16 with the
networks of 2015. With a sent gain the residual is multiplied by a factor before the
encoder, and what the decoder says is divided by it. With priming, encoder and decoder
first go through the same once or more for the sake of their states alone.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.schemas.codec_config import STRIDE_PX, CodecConfig
from hardmine.trainers.codec.network import sent_gain
from hardmine.trainers.codec.network.binarizer import Binarizer
from hardmine.trainers.codec.network.losses import codec_loss
from hardmine.trainers.codec.network.networks import Decoder, Encoder
from hardmine.trainers.codec.network.networks_2015 import Decoder2015, Encoder2015
from hardmine.trainers.codec.network.omission import Omission, pixels_of
from hardmine.trainers.codec.network.reconstruction import build_reconstruction
from hardmine.trainers.codec.network.ssim_weights import SsimWeights
from hardmine.trainers.replicas import alone, loss_of_share


class RecurrentCodec(keras.Model):
  """Every codec of a config: networks, units and reconstruction frameworks.

  States are plain lists of tensors, so that a loop of any backend can carry them:
  the encoder's cells', and `[decoder's cells', estimate, gain, iteration]`.

  Args:
    config: the network.
    iterations: unrolled by `call`, that is in training.
    seed: of the binarizer's noise.
    pixel_loss: see `hardmine.schemas.training_config.CodecTrainingConfig`.
    omission: likewise.

  Attributes:
    ms_ssim_weight: see `hardmine.trainers.codec.network.losses.codec_loss`.
    log_loss: likewise.
    early_weight: likewise.
  """

  def __init__(
    self,
    config: CodecConfig,
    iterations: int = 16,
    seed: int = 0,
    pixel_loss: str = "absolute",
    omission: float = 0.0,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.config = config
    self.iterations = iterations
    self.ms_ssim_weight = 0.0
    self.log_loss = False
    self.early_weight = 0.0
    self.pixel_loss = pixel_loss
    # its running mean is a weight, which only those have that need it
    self.ssim_weights = (
      SsimWeights(name="ssim_weights") if pixel_loss == "ssim_weighted" else None
    )
    self.omission = Omission(omission, seed, name="omission") if omission else None
    encoder, decoder = NETWORKS[config.network]
    self.encoder = encoder(config, name="encoder")
    self.binarizer = Binarizer(seed, name="binarizer")
    self.decoder = decoder(config, name="decoder")
    self.reconstruction = build_reconstruction(config)

  def build(self, _: Any) -> None:
    """Nothing here: every layer makes its weights when it is first called."""

  def multiply_in(self, dtype: str | None) -> None:
    """Sets the type in which the recurrent units multiply; None is their own."""
    for cell in (*self.encoder.cells, *self.decoder.cells):
      cell.product_dtype = dtype

  @contextlib.contextmanager
  def exact_products(self) -> Iterator[None]:
    """Inside, the units multiply as every export does, however they are trained."""
    dtype = self.encoder.cells[0].product_dtype
    self.multiply_in(None)
    try:
      yield
    finally:
      self.multiply_in(dtype)

  def decoder_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """What the decoder carries, before the first iteration of a code grid."""
    image_shape = (batch, rows * STRIDE_PX, columns * STRIDE_PX, 3)
    return [
      self.decoder.initial_states(batch, rows, columns),
      ops.zeros(image_shape, self.compute_dtype),
      self.reconstruction.initial_gain(batch, rows, columns),
      ops.zeros((), "int32"),
    ]

  def encoder_states(self, batch: Any, rows: Any, columns: Any) -> list[Any]:
    """What the encoder carries, before the first iteration of a code grid."""
    return self.encoder.initial_states(batch, rows, columns)

  def encode_step(
    self, images: Any, encoder_states: Any, decoder_states: Any, training: bool = False
  ) -> tuple[Any, Any, Any]:
    """One iteration of the encoder.

    Returns:
      The codes, -1 or +1 [b, r, c, depth]; the exponents of the sent gain, int32 [b],
      zeros without one; the encoder's new states.
    """
    values, exponents, encoder_states = self.encoded_values(
      images, encoder_states, decoder_states
    )
    return self.binarizer(values, training=training), exponents, encoder_states

  def encoded_values(
    self, images: Any, encoder_states: Any, decoder_states: Any
  ) -> tuple[Any, Any, Any]:
    """As `encode_step`, before the binarizer: values in (-1, 1)."""
    _, estimate, gain, iteration = decoder_states
    residual = self.reconstruction.scale(images - estimate, gain)
    if self.config.sent_gain:
      exponents = sent_gain.exponents(ops.stop_gradient(residual))
      residual = residual * sent_gain.factors(exponents)
    else:
      exponents = ops.zeros(ops.shape(images)[:1], "int32")
    values, encoder_states = self.encoder(residual, encoder_states, iteration)
    return values, exponents, encoder_states

  def decode_step(self, codes: Any, exponents: Any, decoder_states: Any) -> Any:
    """The decoder's states after what `encode_step` gave; `[1]` is the estimate."""
    states, estimate, gain, iteration = decoder_states
    decoded, states = self.decoder(codes, states, iteration)
    if self.config.sent_gain:
      decoded = decoded / sent_gain.factors(exponents)
    estimate, gain = self.reconstruction.update(estimate, decoded, gain)
    return [states, estimate, gain, iteration + 1]

  def prime_encoder(self, images: Any, encoder_states: Any, decoder_states: Any) -> Any:
    """The encoder's states after a pass whose codes nobody sees."""
    return self.encoded_values(images, encoder_states, decoder_states)[-1]

  def prime_decoder(self, codes: Any, decoder_states: Any) -> Any:
    """The decoder's states after a pass over codes whose image nobody sees."""
    states, *rest = decoder_states
    _, states = self.decoder(codes, states, rest[-1])
    return [states, *rest]

  def encode_iteration(
    self,
    images: Any,
    encoder_states: Any,
    decoder_states: Any,
    iteration: int,
    training: bool = False,
  ) -> tuple[Any, Any, Any]:
    """As `encode_step`, behind the further passes of an iteration, from 0."""
    for _ in range(self.config.extra_passes(iteration)):
      encoder_states = self.prime_encoder(images, encoder_states, decoder_states)
    return self.encode_step(images, encoder_states, decoder_states, training)

  def decode_iteration(
    self, codes: Any, exponents: Any, decoder_states: Any, iteration: int
  ) -> Any:
    """As `decode_step`, behind the further passes of an iteration, from 0."""
    for _ in range(self.config.extra_passes(iteration)):
      decoder_states = self.prime_decoder(codes, decoder_states)
    return self.decode_step(codes, exponents, decoder_states)

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
    heights = None
    if training and self.omission is not None:
      heights = self.omission.heights(*grid, self.iterations)
    estimates = []
    for t in range(self.iterations):
      codes, exponents, encoder_states = self.encode_iteration(
        images, encoder_states, decoder_states, t, training
      )
      before = decoder_states[1]
      there = None if heights is None else heights > t
      if there is not None:
        codes = codes * ops.cast(there, codes.dtype)
      decoder_states = self.decode_iteration(codes, exponents, decoder_states, t)
      if there is not None:
        decoder_states[1] = ops.where(pixels_of(there), decoder_states[1], before)
      estimates.append(decoder_states[1])
    return ops.stack(estimates)

  def compute_loss(
    self,
    x: Any = None,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
    training: bool = True,
  ) -> Any:
    """Mean over the iterations; by default the paper's absolute residual (eq. 7)."""
    with alone(not training):
      weights = None
      if self.ssim_weights is not None:
        weights = self.ssim_weights(x, y_pred, training=training)
      loss = codec_loss(
        x,
        y_pred,
        self.ms_ssim_weight,
        self.log_loss,
        square=self.pixel_loss == "square",
        pixel_weights=weights,
        early_weight=self.early_weight,
      )
      return loss_of_share(loss)


NETWORKS = {
  "full_resolution": (Encoder, Decoder),
  "fully_connected": (Encoder2015, Decoder2015),
  "convolutional": (Encoder2015, Decoder2015),
}


def build_codec(
  config: CodecConfig,
  iterations: int = 16,
  seed: int = 0,
  pixel_loss: str = "absolute",
  omission: float = 0.0,
) -> RecurrentCodec:
  """A codec with its weights made, drawn from `seed`."""
  keras.utils.set_random_seed(seed)
  codec = RecurrentCodec(
    config, iterations=1, seed=seed, pixel_loss=pixel_loss, omission=omission
  )
  return _made(codec, iterations)


def bare_copy(codec: RecurrentCodec) -> RecurrentCodec:
  """The same weights, without the optimizer and whatever else training needs.

  Its `call` is of one iteration, as Keras has SavedModels hold the graph of that.
  """
  copy = _made(RecurrentCodec(codec.config, iterations=1), 1)
  for ours, theirs in zip(copy.trainable_variables, codec.trainable_variables):
    ours.assign(theirs)
  return copy


def _made(codec: RecurrentCodec, iterations: int) -> RecurrentCodec:
  """With its weights, which layers make when they are first called."""
  side = codec.config.padding_px
  codec(np.zeros((1, side, side, 3), "float32"))
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
