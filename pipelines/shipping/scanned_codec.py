"""A codec on JAX whose iterations are one loop of the compiled program.

Keras' own training unrolls them: 16 copies of the network, minutes to compile. The
layers, their weights and the loss are those of `hardmine.trainers.codec`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment
from hardmine.trainers.codec.network.binarizer import binarized
from hardmine.trainers.codec.network.losses import (
  iteration_losses,
  iteration_weights,
  ms_ssim,
)
from hardmine.trainers.codec.network.model import RecurrentCodec
from hardmine.trainers.codec.network.weights import weight_names


class ScannedCodec:
  """A codec as functions of its weights, whose iterations are one loop.

  Args:
    experiment: the network, how many iterations of it, and its loss.

  Raises:
    ValueError: an experiment with something that is not here.
  """

  def __init__(self, experiment: CodecExperiment):
    config, self.training = experiment.codec, experiment.training
    iterations = self.training.iterations
    require(
      self.training.pixel_loss == "absolute"
      and not self.training.omission
      and not any(map(config.extra_passes, range(iterations))),
      "an experiment with the absolute loss, without omission and further passes",
      experiment=experiment.name,
    )
    self.codec = RecurrentCodec(config, iterations=1)
    side = config.padding_px
    self.codec(keras.Input((side, side, 3), batch_size=1))  # makes the weights
    if self.training.product_dtype != "float32":
      self.codec.multiply_in(self.training.product_dtype)
    self.variables = list(weight_names(self.codec).values())

  def weights(self) -> list[jax.Array]:
    """Copies of the model's, which a step may consume."""
    return [jnp.array(variable.value) for variable in self.variables]

  def assign(self, weights: Sequence[jax.Array]) -> None:
    """Sets the model's."""
    for variable, value in zip(self.variables, weights):
      variable.assign(value)

  def estimates(
    self, weights: Sequence[jax.Array], images: Any, key: jax.Array | None
  ) -> jax.Array:
    """What the model's `call` gives, [iterations, b, h, w, 3].

    Args:
      weights: as of `weights`.
      images: float32 [b, h, w, 3] in [-0.5, 0.5].
      key: from which bits are drawn, as in training; None thresholds.
    """
    codec = self.codec
    batch, height, width, _ = images.shape
    grid = (batch, height // STRIDE_PX, width // STRIDE_PX)

    def iteration(states: Any, key: jax.Array) -> tuple[Any, jax.Array]:
      encoder_states, decoder_states = states
      values, exponents, encoder_states = codec.encoded_values(
        images, encoder_states, decoder_states
      )
      threshold = jax.random.uniform(key, values.shape, minval=-1.0) if draws else 0.0
      codes = binarized(values, threshold, draws)
      decoder_states = codec.decode_step(codes, exponents, decoder_states)
      return (encoder_states, decoder_states), decoder_states[1]

    draws = key is not None
    keys = jax.random.split(
      key if draws else jax.random.key(0), self.training.iterations
    )
    with keras.StatelessScope(state_mapping=list(zip(self.variables, weights))):
      states = codec.encoder_states(*grid), codec.decoder_states(*grid)
      return jax.lax.scan(iteration, states, keys)[1]

  def loss(
    self, weights: Sequence[jax.Array], images: Any, shown: Any, key: jax.Array
  ) -> jax.Array:
    """The experiment's, of iterations weighted by `shown`, [iterations], 0 to 1."""
    estimates = self.estimates(weights, images, key)
    with jax.default_matmul_precision("highest"):  # variances are small differences
      losses = iteration_losses(
        images, estimates, self.training.ms_ssim_weight, self.training.log_loss
      )
    counts = shown * iteration_weights(len(losses), self.training.early_weight)
    return jnp.sum(counts * losses) / jnp.sum(counts)

  def scorer(self, images: Sequence[np.ndarray]) -> Callable[[Any], np.ndarray]:
    """A function from weights to mean MS-SSIM after every iteration.

    Args:
      images: uint8 [h, w, 3], upright ones laid on their side; of all of them the
        largest common part is scored.
    """
    multiple = self.codec.config.padding_px
    images = [
      one if one.shape[1] >= one.shape[0] else one.swapaxes(0, 1) for one in images
    ]
    height, width = (
      min(one.shape[axis] for one in images) // multiple * multiple for axis in (0, 1)
    )
    batch = np.stack([one[:height, :width] for one in images]) / np.float32(255) - 0.5

    @jax.jit
    def score(weights: Any) -> jax.Array:
      levels = jnp.round((self.estimates(weights, batch, None) + 0.5) * 255)
      with jax.default_matmul_precision("highest"):
        return jnp.mean(ms_ssim(batch, jnp.clip(levels, 0, 255) / 255 - 0.5), 1)

    return lambda weights: np.asarray(score(weights), np.float64)
