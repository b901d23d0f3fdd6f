"""Trains a recurrent codec."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.network.model import RecurrentCodec, build_codec
from hardmine.trainers.codec.network.weights import load_weights
from hardmine.trainers.optimizers import compile_model, learning_rate
from hardmine.trainers.training import train_model


def compiled_codec(
  codec_config: CodecConfig, config: CodecTrainingConfig
) -> RecurrentCodec:
  """A new codec with Adam and its state, ready for `fit` or a checkpoint."""
  codec = build_codec(
    codec_config, config.iterations, config.seed, config.pixel_loss, config.omission
  )
  codec.ms_ssim_weight, codec.log_loss = config.ms_ssim_weight, config.log_loss
  codec.early_weight = config.early_weight
  if config.product_dtype != "float32":
    codec.multiply_in(config.product_dtype)
  optimizer = keras.optimizers.Adam(
    learning_rate(config),
    name="adam",  # Keras' own choice differs from version to version
    epsilon=config.adam_epsilon,
    global_clipnorm=config.clip_norm,
    use_ema=config.ema_decay is not None,
    ema_momentum=config.ema_decay or 0.99,
  )
  compile_model(codec, optimizer, config)
  return codec


def train(
  codec_config: CodecConfig,
  config: CodecTrainingConfig,
  batches_from: Callable[[int], Iterable],
  checkpoints: Checkpoints,
  **options: Any,
) -> RecurrentCodec:
  """Trains a codec on float32 [batch, side, side, 3] in [-0.5, 0.5].

  See `hardmine.trainers.training.train_model` for the arguments and `options`.
  """
  initial = config.initial_weights
  return train_model(
    lambda: compiled_codec(codec_config, config),
    config,
    batches_from,
    checkpoints,
    begin=(lambda codec: load_weights(initial, codec)) if initial else lambda _: None,
    **options,
  )


def contact_sheet(codec: RecurrentCodec, images: np.ndarray) -> np.ndarray:
  """Originals above their reconstructions after 1, 2, 4, 8, ... iterations.

  Args:
    codec: with weights.
    images: float32 [n, side, side, 3] in [-0.5, 0.5].

  Returns:
    uint8 [side * rows, side * n, 3].
  """
  estimates = np.asarray(keras.ops.convert_to_numpy(codec(images, training=False)))
  estimates = np.nan_to_num(estimates)  # a diverged model still gets its picture
  chosen = [2**k - 1 for k in range(int(math.log2(len(estimates))) + 1)]
  rows = [np.concatenate(list(row), axis=1) for row in (images, *estimates[chosen])]
  return np.clip((np.concatenate(rows) + 0.5) * 255 + 0.5, 0, 255).astype(np.uint8)
