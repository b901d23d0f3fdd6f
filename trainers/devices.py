"""What a training runs on: the processor, GPUs of this machine, or several machines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import keras

from hardmine.schemas.config import require


def device_scope(
  strategy: str, report: Callable[[str], None], several: bool = True
) -> Any:
  """The context in which a model is made and trained, for a `TrainingConfig.strategy`.

  With `multiworker` it is that of one device of this machine; `workers` joins the
  machines. On JAX, `mirrored` takes all local devices and `auto` all but CPUs.

  Args:
    strategy: which devices.
    report: receives a line about them.
    several: whether `auto` may take more than one.

  Raises:
    ValueError: a strategy that Keras' backend does not know.
    RuntimeError: GPUs were asked for and there are none.
  """
  backend = keras.backend.backend()
  if backend == "jax":
    return _jax_scope(strategy, report, several)
  if backend != "tensorflow":
    report(f"training on Keras' {backend} backend")
    return contextlib.nullcontext()
  import tensorflow as tf

  gpus = tf.config.list_logical_devices("GPU")
  cpus = tf.config.list_logical_devices("CPU")
  devices = gpus or (cpus if strategy == "mirrored" and len(cpus) > 1 else [])
  if strategy in ("one_gpu", "mirrored") and not devices:
    raise RuntimeError(
      f"training.strategy={strategy} needs a GPU and TensorFlow sees none; "
      "install the gpu extra (pip install hardmine[gpu]) or use strategy=cpu"
    )
  if strategy == "cpu" or not devices:
    report("training on the CPU")
    return tf.device("/CPU:0")
  is_one = strategy in ("one_gpu", "multiworker") or not several
  if is_one or len(devices) == 1:
    unused = f"; {len(devices) - 1} more are not used" if len(devices) > 1 else ""
    report(f"training on {devices[0].name}{unused}")
    return tf.device(devices[0].name)
  report(f"training on {len(devices)} {'GPUs' if gpus else 'CPU devices'}")
  return tf.distribute.MirroredStrategy([device.name for device in devices]).scope()


def _jax_scope(strategy: str, report: Callable[[str], None], several: bool) -> Any:
  """Keras' data parallelism over this machine's devices, where there are several."""
  import jax

  require(
    strategy != "multiworker",
    "training.strategy=mirrored on Keras' jax backend, or KERAS_BACKEND=tensorflow",
    strategy=strategy,
  )
  devices = jax.local_devices()
  of_all = strategy == "mirrored" or (
    several and strategy == "auto" and devices[0].platform != "cpu"
  )
  if not of_all or len(devices) == 1:
    report("training on Keras' jax backend")
    return contextlib.nullcontext()
  report(f"training on {len(devices)} devices on Keras' jax backend")
  mesh = keras.distribution.DeviceMesh(
    (len(devices),), ["batch"], [f"{d.platform}:{d.id}" for d in devices]
  )
  parallel = keras.distribution.DataParallel(mesh, auto_shard_dataset=False)
  return parallel.scope()


def num_devices() -> int:
  """Of this process that share a step, inside `device_scope`."""
  if keras.backend.backend() == "jax":
    parallel = keras.distribution.distribution()
    return 1 if parallel is None else int(parallel.device_mesh.devices.size)
  if keras.backend.backend() != "tensorflow":
    return 1
  import tensorflow as tf

  return tf.distribute.get_strategy().num_replicas_in_sync


def on_accelerator() -> bool:
  """Whether XLA pays: on a CPU TensorFlow's tuned convolutions are faster."""
  if keras.backend.backend() != "tensorflow":
    return True  # the other backends always compile
  import tensorflow as tf

  return bool(tf.config.list_logical_devices("GPU"))
