"""A trained codec as a SavedModel that anything that loads TensorFlow can run.

Beside it goes the light form, for whoever has no TensorFlow (`light_export`).

Signatures (all sizes free):

    encode       image uint8 [h, w, 3], iterations int32 []
                 -> codes uint8 [iterations, rows, columns, depth], each 0 or 1
                    (gains uint8 [iterations], where the model sends some)
    decode       codes uint8 [n, rows, columns, depth], height int32 [], width int32 []
                 (gains uint8 [n], where the model sends some)
                 -> image uint8 [height, width, 3], after the n-th iteration
    reconstruct  image uint8 [h, w, 3], iterations int32 []
                 -> images uint8 [iterations, h, w, 3], after every iteration

The depth is 32, or 16 of the networks of 2015. `serving_default` is `reconstruct`.
Images are padded by their last row and column to a multiple of 16 pixels (32 with
residual scaling), and the padding is undone. Weights that are the same in float16, as
those of `hardmine train`, are stored so; the network computes in float32 all the same.
Beside the graph, `assets.extra/codec.json` holds the config, the model's id, and up to
which iteration each one helped on held-out pictures.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.trainers import saved_model
from hardmine.trainers.codec.exports.light_export import write_light_form
from hardmine.trainers.codec.network.model import (
  RecurrentCodec,
  bare_copy,
  codec_weights,
  model_id,
)
from hardmine.trainers.codec.network.weights import HALF_WEIGHTS, weight_names
from hardmine.trainers.onnx_half import is_exact_in_half


def export_codec(
  codec: RecurrentCodec, model_dir: str | os.PathLike, **facts: Any
) -> None:
  """Writes the SavedModel, the light form and the facts.

  Args:
    codec: with weights.
    model_dir: a folder that does not exist yet or is empty.
    **facts: JSON values to record beside config and id, such as `steps`.
  """
  # with its optimizer a model is three times as large, and multiplies as in training
  bare = bare_copy(codec)
  serving = _HalfServing(bare) if _fits_half(bare) else _Serving(bare)
  saved_model.save(
    serving,
    {
      "serving_default": serving.reconstruct,
      "encode": serving.encode,
      "decode": serving.decode,
      "reconstruct": serving.reconstruct,
    },
    model_dir,
    "codec",
    {
      "config": json.loads(codec.config.to_json()),
      "model_id": model_id(codec).hex(),
      "padding_px": codec.config.padding_px,
      "code_depth": codec.config.code_depth,
      **facts,
    },
    lambda: write_light_form(bare, model_dir),
  )


IMAGE = tf.TensorSpec([None, None, 3], tf.uint8, name="image")
ITERATIONS = tf.TensorSpec([], tf.int32, name="iterations")
GAINS = tf.TensorSpec([None], tf.uint8, name="gains")
HEIGHT = tf.TensorSpec([], tf.int32, name="height")
WIDTH = tf.TensorSpec([], tf.int32, name="width")


def serving_functions(codec: RecurrentCodec) -> Any:
  """`encode`, `decode` and `reconstruct` of a codec, as they are exported."""
  return _Serving(codec)


def reconstructor(codec: RecurrentCodec) -> Callable[[np.ndarray], np.ndarray]:
  """What an export would decode: uint8 [h, w, 3] to [codec.iterations, h, w, 3].

  The graph is made once and serves every size.
  """
  serving, iterations = serving_functions(codec), np.int32(codec.iterations)

  def reconstruct(image: np.ndarray) -> np.ndarray:
    with codec.exact_products():  # where the first call makes the graph
      return serving.reconstruct(image, iterations)["images"].numpy()

  return reconstruct


class _Serving(tf.Module):
  """The three functions, each a loop over iterations inside the graph."""

  def __init__(self, codec: RecurrentCodec):
    super().__init__()
    self._keep(codec)
    self.is_primed = bool(codec.config.priming or codec.config.diffusion)
    self.codes = tf.TensorSpec(
      [None, None, None, codec.config.code_depth], tf.uint8, name="codes"
    )
    sent = [GAINS] if codec.config.sent_gain else []
    self.encode = tf.function(self._encode, input_signature=[IMAGE, ITERATIONS])
    self.decode = tf.function(
      self._decode_sent if sent else self._decode,
      input_signature=[self.codes, HEIGHT, WIDTH, *sent],
    )
    self.reconstruct = tf.function(
      self._reconstruct, input_signature=[IMAGE, ITERATIONS]
    )

  def _keep(self, codec: RecurrentCodec) -> None:
    """Takes the codec, which is saved with the module."""
    self.codec = codec

  def _weights(self) -> contextlib.AbstractContextManager[Any]:
    """Inside, the codec computes with the weights that are saved."""
    return contextlib.nullcontext()

  def _encode(self, image, iterations):
    with self._weights():
      codes, gains, _ = self._encoded(image, iterations)
    return {"codes": codes, **({"gains": gains} if self.codec.config.sent_gain else {})}

  def _decode(self, codes, height, width):
    gains = tf.zeros(tf.shape(codes)[:1], tf.uint8)
    return self._decode_sent(codes, height, width, gains)

  def _decode_sent(self, codes, height, width, gains):
    with self._weights():
      return {"image": self._decoded(codes, gains, height, width)}

  def _reconstruct(self, image, iterations):
    with self._weights():
      _, _, pictures = self._encoded(image, iterations)
    return {"images": pictures}

  def _encoded(self, image, iterations):
    """Codes, gains and what decoding gives, after every iteration."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    images = self._padded(image)
    rows, columns = tf.shape(images)[1] // STRIDE_PX, tf.shape(images)[2] // STRIDE_PX
    encoder_states = self.codec.encoder_states(1, rows, columns)
    decoder_states = self.codec.decoder_states(1, rows, columns)
    planes = tf.TensorArray(tf.uint8, iterations, element_shape=self.codes.shape[1:])
    gains = tf.TensorArray(tf.uint8, iterations, element_shape=[])
    pictures = tf.TensorArray(tf.uint8, iterations, element_shape=IMAGE.shape)
    for t in tf.range(iterations):
      encoder_states = self._primed_encoder(t, images, encoder_states, decoder_states)
      codes, exponents, encoder_states = self.codec.encode_step(
        images, encoder_states, decoder_states
      )
      decoder_states = self._primed_decoder(t, codes, decoder_states)
      decoder_states = self.codec.decode_step(codes, exponents, decoder_states)
      planes = planes.write(t, tf.cast(codes[0] > 0, tf.uint8))
      gains = gains.write(t, tf.cast(exponents[0], tf.uint8))
      pictures = pictures.write(t, _to_pixels(decoder_states[1][0, :height, :width]))
    return planes.stack(), gains.stack(), pictures.stack()

  def _decoded(self, codes, gains, height, width):
    """The image after all iterations of `codes`."""
    shape = tf.shape(codes)
    states = self.codec.decoder_states(1, shape[1], shape[2])
    for t in tf.range(shape[0]):
      signs = 2.0 * tf.cast(codes[t], tf.float32)[tf.newaxis] - 1.0
      exponents = tf.cast(gains[t], tf.int32)[tf.newaxis]
      states = self._primed_decoder(t, signs, states)
      states = self.codec.decode_step(signs, exponents, states)
    return _to_pixels(states[1][0, :height, :width])

  def _primed_encoder(self, t, images, encoder_states, decoder_states):
    """The encoder's states behind the further passes of an iteration."""
    if self.is_primed:
      for _ in tf.range(self._extra_passes(t)):
        encoder_states = self.codec.prime_encoder(
          images, encoder_states, decoder_states
        )
    return encoder_states

  def _primed_decoder(self, t, codes, decoder_states):
    """The decoder's states behind the further passes of an iteration."""
    if self.is_primed:
      for _ in tf.range(self._extra_passes(t)):
        decoder_states = self.codec.prime_decoder(codes, decoder_states)
    return decoder_states

  def _extra_passes(self, t):
    """See `CodecConfig.extra_passes`."""
    return tf.where(t == 0, self.codec.config.priming, self.codec.config.diffusion)

  def _padded(self, image):
    """uint8 [h, w, 3] to float32 [1, H, W, 3] in [-0.5, 0.5], edges repeated."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    multiple = self.codec.config.padding_px
    rows = tf.range(-(-height // multiple) * multiple)
    columns = tf.range(-(-width // multiple) * multiple)
    image = tf.gather(image, tf.minimum(rows, height - 1), axis=0)
    image = tf.gather(image, tf.minimum(columns, width - 1), axis=1)
    return tf.cast(image, tf.float32)[tf.newaxis] / 255.0 - 0.5


class _HalfServing(_Serving):
  """The same, with its weights as float16 variables; none may lose by that."""

  def _keep(self, codec: RecurrentCodec) -> None:
    object.__setattr__(self, "codec", codec)  # untracked, or float32 would be saved too
    halves = {
      name: tf.Variable(tf.cast(variable.value, tf.float16), trainable=False)
      for name, variable in weight_names(codec).items()
    }
    setattr(self, HALF_WEIGHTS, halves)

  def _weights(self) -> contextlib.AbstractContextManager[Any]:
    halves = getattr(self, HALF_WEIGHTS)
    return keras.StatelessScope(
      [
        (variable, tf.cast(halves[name], tf.float32))
        for name, variable in weight_names(self.codec).items()
      ]
    )


def _fits_half(codec: RecurrentCodec) -> bool:
  """Whether float16 holds all weights as they are."""
  return all(is_exact_in_half(weight) for weight in codec_weights(codec))


def _to_pixels(image):
  """[h, w, 3] around [-0.5, 0.5] to uint8, rounded."""
  return tf.cast(tf.clip_by_value(tf.round((image + 0.5) * 255.0), 0, 255), tf.uint8)
