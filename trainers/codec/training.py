"""Trains a recurrent codec; any Keras backend, one device or several.

Nothing here needs TensorFlow unless Keras runs on it, so that the same loop
trains on JAX.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from schemas.codec_config import CodecConfig
from schemas.training_config import TrainingConfig
from trainers.callbacks import Checkpoints, Progress, SaveCheckpoints, StopOnNaN
from trainers.codec.model import RecurrentCodec, build_codec


def learning_rate(config: TrainingConfig) -> Any:
  """The schedule that a config names, as Keras' optimizers take it."""
  match config.schedule:
    case "constant":
      return config.learning_rate
    case "exponential":
      return keras.optimizers.schedules.ExponentialDecay(
        config.learning_rate, config.decay_steps, config.decay_rate, staircase=True
      )
    case "cosine":
      return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)


def compiled_codec(codec_config: CodecConfig, config: TrainingConfig) -> RecurrentCodec:
  """A new codec with Adam and its state, ready for `fit` or a checkpoint."""
  codec = build_codec(codec_config, config.iterations, config.seed)
  optimizer = keras.optimizers.Adam(
    learning_rate(config),
    epsilon=config.adam_epsilon,
    global_clipnorm=config.clip_norm,
  )
  if config.mixed_precision:
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
  optimizer.build(codec.trainable_variables)
  # XLA pays on accelerators; on a CPU it loses the tuned convolutions.
  xla: Any = "auto" if _on_accelerator() else False
  codec.compile(optimizer=optimizer, jit_compile=xla)
  return codec


def train(
  codec_config: CodecConfig,
  config: TrainingConfig,
  batches_from: Callable[[int], Iterable],
  checkpoints: Checkpoints,
  callbacks: Callable[[RecurrentCodec], list[keras.callbacks.Callback]] = lambda _: [],
  validation: Any = None,
  report: Callable[[str], None] = print,
) -> RecurrentCodec:
  """Trains to `config.steps`, from the newest checkpoint if there is one.

  Args:
    codec_config: the network.
    config: the training.
    batches_from: maps a step to the batches that follow it, float32
      [batch, 32, 32, 3] in [-0.5, 0.5].
    checkpoints: where to resume from and save to.
    callbacks: more of them, given the codec.
    validation: finite batches whose loss, without noise, is logged ten times.
    report: receives progress lines.

  Raises:
    RuntimeError: the loss is not a number any more.
  """
  if config.mixed_precision:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
  window = config.summary_steps
  quiet: Any = 0
  with device_scope(config.strategy, report):
    codec = compiled_codec(codec_config, config)
    step = checkpoints.restore(codec)
    if step:
      report(f"resuming from step {step} of {config.steps}")
    epochs = config.steps // window
    if step < config.steps:
      codec.fit(
        batches_from(step),
        epochs=epochs,
        initial_epoch=step // window,
        steps_per_epoch=window,
        validation_data=validation,
        validation_freq=max(1, epochs // 10),
        verbose=quiet,
        callbacks=[
          StopOnNaN(window),
          SaveCheckpoints(checkpoints, window, config.checkpoint_steps, config.steps),
          Progress(window, config.steps, report),
          *callbacks(codec),
        ],
      )
  return codec


def device_scope(strategy: str, report: Callable[[str], None]) -> Any:
  """The context in which variables are made, for a `TrainingConfig.strategy`.

  Raises:
    RuntimeError: GPUs were asked for and there are none.
  """
  if keras.backend.backend() != "tensorflow":
    report(f"training on Keras' {keras.backend.backend()} backend")
    return contextlib.nullcontext()
  import tensorflow as tf

  gpus = tf.config.list_logical_devices("GPU")
  if strategy in ("one_gpu", "mirrored") and not gpus:
    raise RuntimeError(
      f"training.strategy={strategy} needs a GPU and TensorFlow sees none; "
      "install the gpu extra (pip install hardmine[gpu]) or use strategy=cpu"
    )
  if strategy == "cpu" or not gpus:
    report("training on the CPU")
    return tf.device("/CPU:0")
  if strategy == "one_gpu" or len(gpus) == 1:
    report(f"training on {gpus[0].name}")
    return tf.device(gpus[0].name)
  report(f"training on {len(gpus)} GPUs")
  return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]).scope()


def contact_sheet(codec: RecurrentCodec, images: np.ndarray) -> np.ndarray:
  """Originals above their reconstructions after 1, 2, 4, 8, ... iterations.

  Args:
    codec: with weights.
    images: float32 [n, 32, 32, 3] in [-0.5, 0.5].

  Returns:
    uint8 [32 * rows, 32 * n, 3].
  """
  estimates = np.asarray(keras.ops.convert_to_numpy(codec(images, training=False)))
  estimates = np.nan_to_num(estimates)  # a diverged model still gets its picture
  chosen = [2**k - 1 for k in range(int(math.log2(len(estimates))) + 1)]
  rows = [np.concatenate(list(row), axis=1) for row in (images, *estimates[chosen])]
  return np.clip((np.concatenate(rows) + 0.5) * 255 + 0.5, 0, 255).astype(np.uint8)


def _on_accelerator() -> bool:
  if keras.backend.backend() != "tensorflow":
    return True  # the other backends always compile
  import tensorflow as tf

  return bool(tf.config.list_logical_devices("GPU"))
