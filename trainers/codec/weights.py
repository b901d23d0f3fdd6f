"""A codec's weights by themselves: one `.npz` that any later version can start from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from schemas.config import require
from schemas.manifest import write_atomically
from trainers.codec.model import RecurrentCodec

CONFIG = "config"  # the entry beside the weights: the CodecConfig as JSON


def weight_names(codec: RecurrentCodec) -> dict[str, Any]:
  """Every trainable variable, by its layer and name, such as encoder/e_conv/kernel."""
  return {v.path.removeprefix(f"{codec.name}/"): v for v in codec.trainable_variables}


def save_weights(path: str | os.PathLike, codec: RecurrentCodec, dtype: str) -> None:
  """Writes `path` in one move; float16 halves it and costs no visible quality."""
  buffer = io.BytesIO()
  values = {
    name: np.asarray(variable).astype(dtype)
    for name, variable in weight_names(codec).items()
  }
  config = np.frombuffer(codec.config.to_json().encode(), np.uint8)
  np.savez_compressed(buffer, **{CONFIG: config}, **values)  # pyright: ignore
  write_atomically(path, buffer.getvalue())


def load_weights(path: str | os.PathLike, codec: RecurrentCodec) -> None:
  """Fills a codec from what `save_weights` or `export_codec` wrote.

  Args:
    path: a file, or the folder of an exported codec.
    codec: built; its config's sizes must be those of the weights.

  Raises:
    ValueError: no such file, or the weights of another network.
  """
  if Path(path).is_dir():
    _load_exported(Path(path), codec)
    return
  require(Path(path).is_file(), "a file of weights that exists", path=str(path))
  with np.load(path) as file:
    values = {name: file[name] for name in file.files if name != CONFIG}
  variables = weight_names(codec)
  apart = sorted(set(values) ^ set(variables)) or [
    name for name, v in variables.items() if tuple(v.shape) != values[name].shape
  ]
  require(
    not apart,
    "weights of the network that the config describes",
    path=str(path),
    differing=apart[:3],
  )
  for name, variable in variables.items():
    variable.assign(values[name].astype("float32"))


def _load_exported(model_dir: Path, codec: RecurrentCodec) -> None:
  """From a SavedModel, whose variables are found by their place in the model."""
  import tensorflow as tf

  checkpoint = tf.train.Checkpoint(codec=codec)
  try:
    status = checkpoint.restore(str(model_dir / "variables" / "variables"))
    status.assert_existing_objects_matched().expect_partial()
  except (tf.errors.OpError, ValueError, AssertionError) as error:
    raise ValueError(
      "Expected an exported codec of the network that the config describes. Received: "
      f"path={str(model_dir)!r} ({str(error).splitlines()[0]})"
    ) from error
