"""A codec's weights by themselves: one `.npz` that any later version can start from."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import LIGHT, read_facts
from hardmine.schemas.files import write_atomically
from hardmine.schemas.local_copies import is_there, local_copy
from hardmine.schemas.uris import is_url
from hardmine.trainers import saved_model
from hardmine.trainers.codec.network.model import RecurrentCodec

CONFIG = "config"  # the entry beside the weights: the CodecConfig as JSON
HALF_WEIGHTS = "half_weights"  # of a SavedModel: float16 variables by `weight_names`


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
    path: a file, or the folder or URL of an exported codec.
    codec: built, with the config that the weights were trained by.

  Raises:
    ValueError: no such file, or the weights of another network.
  """
  name = os.fspath(path)
  if is_url(name):
    require(is_there(name), "weights that exist", path=name)
    with local_copy(name, wanted=_is_wanted) as model_dir:
      _load_exported(model_dir, codec, name)
    return
  if Path(path).is_dir():
    _load_exported(name, codec, name)
    return
  require(Path(path).is_file(), "a file of weights that exists", path=str(path))
  try:
    with np.load(path) as file:
      values = {name: file[name] for name in file.files}
    config = values.pop(CONFIG).tobytes().decode()
  except Exception as error:  # no zip file, no .npz, no config in it
    raise ValueError(
      f"Expected weights as `hardmine train` writes them. Received: path={str(path)!r} "
      f"({error})"
    ) from error
  _require_same_config(path, config, codec)
  for name, variable in weight_names(codec).items():
    variable.assign(values[name].astype("float32"))


def _is_wanted(name: str) -> bool:
  return not name.startswith(LIGHT)


def _load_exported(model_dir: str, codec: RecurrentCodec, title: str) -> None:
  """From a SavedModel, which a person knows by a title."""
  facts = read_facts(model_dir, "codec")
  _require_same_config(title, json.dumps(facts["config"]), codec)
  filled = {id(one) for one in read_exported(model_dir, codec)}
  missing = [one for one in codec.trainable_variables if id(one) not in filled]
  require(not missing, "all weights of the codec in its export", path=title)


def read_exported(model_dir: str | os.PathLike, codec: RecurrentCodec) -> list[Any]:
  """Fills a codec with the weights of an export of the same config.

  Returns:
    The variables that were filled.
  """
  named = weight_names(codec)
  return saved_model.read_variables(
    model_dir, HALF_WEIGHTS, named
  ) or saved_model.read_variables(model_dir, "codec", codec)


def _require_same_config(
  path: str | os.PathLike, config: str, codec: RecurrentCodec
) -> None:
  theirs, ours = (json.loads(text) for text in (config, codec.config.to_json()))
  apart = sorted(
    name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)
  )
  require(
    not apart,
    "weights of the network that the config describes",
    path=str(path),
    differing=apart,
  )
