"""Checkpoints: what a training needs to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from schemas.manifest import sha256_of, write_atomically


class Checkpoints:
  """Files from which training resumes to the weights it would have had.

  A checkpoint is one `.npz` holding every variable of the model, the optimizer
  and the random generators, by name. It appears whole or not at all, and the two
  newest are kept.
  """

  def __init__(self, directory: str | os.PathLike):
    self.directory = Path(directory)

  def save(self, model: keras.Model, step: int) -> Path:
    """Writes `step-N.npz`."""
    self.directory.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    values = {name: np.asarray(v) for name, v in named_state(model).items()}
    np.savez(buffer, **values)  # pyright: ignore[reportArgumentType]
    path = self.directory / f"step-{step:09d}.npz"
    write_atomically(path, buffer.getvalue())
    for old in sorted(self.directory.glob("step-*.npz"))[:-2]:
      old.unlink()
    return path

  def restore(self, model: keras.Model) -> int:
    """Loads the newest whole checkpoint into a built, compiled model.

    Returns:
      Its step; 0 where there is none.

    Raises:
      RuntimeError: the newest readable checkpoint belongs to another model.
    """
    for path in sorted(self.directory.glob("step-*.npz"), reverse=True):
      try:
        with np.load(path) as file:
          values = {name: file[name] for name in file.files}
      except Exception as error:  # zipfile has many ways to say "damaged"
        print(f"skipping the damaged checkpoint {path}: {error}", file=sys.stderr)
        continue
      variables = named_state(model)
      if "arr_0" in values:  # written before variables had names, in this order
        values = dict(zip(variables, values.values()))
      if {name: v.shape for name, v in values.items()} != {
        name: tuple(v.shape) for name, v in variables.items()
      }:
        raise RuntimeError(
          f"{path} belongs to another model or optimizer"
          f"{_difference(values, variables)}; remove {self.directory} to start over"
        )
      for name, variable in variables.items():
        variable.assign(values[name])
      return int(path.stem.split("-")[1])
    return 0


def checkpoint_dir(settings: dict[str, Any], train_files: list[str]) -> Path:
  """One folder for each combination of configs and data, so none can mix.

  Args:
    settings: a Trainer's `custom_config`: configs as JSON, and the
      `checkpoint_dir` below which the folder is.
    train_files: whose content counts.
  """
  configs = [str(settings[key]) for key in sorted(settings) if key != "checkpoint_dir"]
  key = hashlib.sha256(
    "\n".join([*configs, *map(sha256_of, train_files)]).encode("utf-8")
  ).hexdigest()[:16]
  return Path(settings["checkpoint_dir"]) / key


def named_state(model: keras.Model) -> dict[str, Any]:
  """Every variable that decides the next step, by a name that any process gives it."""
  generators = [
    layer.seed_generator.state
    for layer in model._flatten_layers()
    if hasattr(layer, "seed_generator")
  ]
  variables: dict[str, Any] = {}
  for kind, members in (
    ("model", model.weights),
    ("optimizer", model.optimizer.variables),
    ("random", generators),
  ):
    for number, variable in enumerate(members):
      # Keras numbers models and generators through a process.
      name = variable.path.replace(f"{model.name}_", "").replace(f"{model.name}/", "")
      name = f"{kind}/{number if kind == 'random' else name}"
      while name in variables:
        name += "'"
      variables[name] = variable
  return variables


def _difference(values: dict[str, Any], variables: dict[str, Any]) -> str:
  """The first variable that is in one only, to be said in an error."""
  apart = sorted(set(values) ^ set(variables))
  return f" ({apart[0]})" if apart else ""
