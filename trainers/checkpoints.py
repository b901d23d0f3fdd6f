"""Checkpoints: what a training needs to go on as if it had never stopped."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import shutil
import sys
from typing import Any

import keras
import numpy as np

from hardmine.schemas.files import sha256_of, write_atomically
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import absolute, is_url, join


class Checkpoints:
  """Files from which training resumes to the weights it would have had.

  A checkpoint is one `.npz` holding every variable of the model, the optimizer
  and the random generators, by name. It appears whole or not at all, and the two
  newest are kept.

  Attributes:
    directory: the folder, an absolute path or the URL of a prefix.
    pinned: steps whose checkpoints are kept, however old.
  """

  def __init__(self, directory: str | os.PathLike):
    self._places = folder(directory)
    self.directory = self._places.url
    self.pinned: set[int] = set()

  def save(self, model: keras.Model, step: int) -> str:
    """Writes `step-N.npz`.

    Returns:
      Its path or URL.

    Raises:
      RuntimeError: a weight is not a number any more; what is there stays.
    """
    values = {name: np.asarray(v) for name, v in named_state(model).items()}
    broken = [n for n, v in values.items() if v.dtype.kind == "f" and not _finite(v)]
    if broken:
      raise RuntimeError(
        f"{broken[0]} holds values that are no numbers at step {step}; lower "
        "training.learning_rate or set training.clip_norm, then go on from the last "
        f"checkpoint in {self.directory}"
      )
    buffer = io.BytesIO()
    np.savez(buffer, **values)  # pyright: ignore[reportArgumentType]
    name = _name_of(step)
    path = self._write(name, buffer.getvalue())
    kept = {name, *map(_name_of, self.pinned)}
    for old in self._names()[:-2]:
      if old not in kept:
        self._places.remove(old)
    return path

  def note(self, name: str) -> str | None:
    """The text of a file beside the checkpoints; None where there is none."""
    if name not in self._places.names():
      return None
    return self._places.read(name).decode()

  def write_note(self, name: str, text: str) -> None:
    """Puts a text beside the checkpoints, whole or not at all."""
    self._write(name, text.encode())

  def restore(self, model: keras.Model, step: int | None = None) -> int:
    """Loads the newest whole checkpoint into a built, compiled model.

    A damaged one is put aside under another name, and the one before is taken. A rate
    that never changes is a setting and stays as the model was compiled with it.

    Args:
      model: whose values are replaced.
      step: whose checkpoint is wanted; None for the newest.

    Returns:
      Its step; 0 where there is none.

    Raises:
      RuntimeError: the newest readable checkpoint belongs to another model, there are
        some and none can be read, or that of the step is not there.
    """
    found = self._names()[::-1]
    if step is not None:
      found = [name for name in found if name == _name_of(step)]
      if not found:
        raise RuntimeError(
          f"the checkpoint of step {step} is not in {self.directory}; put a copy back, "
          "or move the folder away to start over"
        )
    for newest in found:
      path = self._places.at(newest)
      with self._places.local_copy(newest) as copy:
        try:
          with np.load(copy) as file:
            values = {name: file[name] for name in file.files}
        except Exception as error:  # zipfile has many ways to say "damaged"
          aside = self._put_aside(newest, copy)
          print(
            f"skipping the damaged checkpoint {path} (now {aside}): {error}",
            file=sys.stderr,
          )
          continue
      variables = named_state(model)
      if "arr_0" in values:  # written before variables had names, in this order
        values = dict(zip(variables, values.values()))
      _require_fitting(path, values, variables)
      for name, variable in variables.items():
        if not name.endswith("/learning_rate"):
          variable.assign(values[name])
      return int(newest.removesuffix(".npz").split("-")[1])
    if found:
      raise RuntimeError(
        f"none of the checkpoints in {self.directory} can be read; put a copy back, or "
        "move the folder away to start over"
      )
    return 0

  def _write(self, name: str, content: bytes) -> str:
    """A whole file, or none; its path or URL."""
    path = self._places.at(name)
    if is_url(path):
      self._places.write(name, content)
    else:  # durably
      os.makedirs(self.directory, exist_ok=True)
      write_atomically(path, content)
    return path

  def _names(self) -> list[str]:
    """Of all checkpoints, oldest first."""
    return sorted(fnmatch.filter(self._places.names(), "step-*.npz"))

  def _put_aside(self, name: str, copy: os.PathLike) -> str:
    """Gives a file another name, which is returned."""
    aside = f"{name.removesuffix('.npz')}.damaged"
    if is_url(self.directory):
      with open(copy, "rb") as file, self._places.new_file(aside) as target:
        shutil.copyfileobj(file, target)
      self._places.remove(name)
    else:
      os.replace(copy, self._places.at(aside))
    return aside


def _name_of(step: int) -> str:
  return f"step-{step:09d}.npz"


def _finite(values: np.ndarray) -> bool:
  return bool(np.isfinite(values).all())


def _require_fitting(
  path: str, values: dict[str, np.ndarray], variables: dict[str, Any]
) -> None:
  apart = sorted(set(values) ^ set(variables)) or [
    name for name, v in variables.items() if tuple(v.shape) != values[name].shape
  ]
  if apart:
    raise RuntimeError(
      f"{path} belongs to another model or optimizer ({apart[0]} differs): set back "
      "what was changed, or move the folder away to start over"
    )


def checkpoint_dir(settings: dict[str, Any], train_files: list[str]) -> str:
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
  return join(absolute(settings["checkpoint_dir"]), key)


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
