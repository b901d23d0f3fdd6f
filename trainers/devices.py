"""What TensorFlow trains on; the other Keras backends choose by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import keras


def device_scope(strategy: str, report: Callable[[str], None]) -> Any:
  """The context in which variables are made, for a `CodecTrainingConfig.strategy`.

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


def on_accelerator() -> bool:
  """Whether XLA pays: on a CPU TensorFlow's tuned convolutions are faster."""
  if keras.backend.backend() != "tensorflow":
    return True  # the other backends always compile
  import tensorflow as tf

  return bool(tf.config.list_logical_devices("GPU"))


def num_replicas() -> int:
  """Devices that share a step; each contributes its share of a mean."""
  if keras.backend.backend() != "tensorflow":
    return 1
  import tensorflow as tf

  return tf.distribute.get_strategy().num_replicas_in_sync
