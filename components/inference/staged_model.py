"""A model on its way to workers: through storage, and once into every process.

The caller copies the model's files into the job's folder, which is all that the workers
see. So the job goes on with what it began with, whatever becomes of the model's own
folder or of the alias that named it.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

from hardmine.schemas.folders import Folder, copy_file, folder
from hardmine.schemas.local_copies import local_copy
from hardmine.schemas.manifest import file_facts
from hardmine.trainers.runtime.choice import TENSORFLOW

MODEL = "model"  # the folder of the model, below a job's scratch folder
_VARIABLES = "variables/"  # of the SavedModel, which only TensorFlow reads


class LoadedModel:
  """A model that all threads of a process share.

  Attributes:
    model: what was loaded.
    turn: held while it is at work: it takes all processors for one photograph, and
      memory for no more than one.
  """

  def __init__(self, model: Any):
    self.model = model
    self.turn = threading.Lock()


def model_digest(model_dir: str | os.PathLike, runtime: str) -> str:
  """SHA-256 of the names and contents of the files that a runtime needs."""
  place, digest = folder(model_dir), hashlib.sha256()
  for name in _needed(place, runtime):
    digest.update(f"{name}\n{file_facts(place, name)['sha256']}\n".encode())
  return digest.hexdigest()


def stage_model(
  model_dir: str | os.PathLike, runtime: str, digest: str, scratch: Folder
) -> None:
  """Copies a model into a job's folder.

  Args:
    model_dir: the exported model.
    runtime: that will run it.
    digest: of `model_digest`.
    scratch: the job's folder.

  Raises:
    RuntimeError: the model has changed since, or is gone.
  """
  source, target = folder(model_dir), scratch.below(MODEL)
  for name in _needed(source, runtime):
    copy_file(source, name, target, name)
  if model_digest(target.url, runtime) != digest:
    raise RuntimeError(f"{source.url} has changed while it was read: run it again")


def _needed(place: Folder, runtime: str) -> list[str]:
  return sorted(
    name
    for name in place.tree()
    if runtime == TENSORFLOW or not name.startswith(_VARIABLES)
  )


class _Kept:
  """The model of this process, the last one that was asked for, and its local files."""

  def __init__(self):
    self._lock = threading.Lock()
    self._key: tuple[str, str] | None = None
    self._loaded: LoadedModel | None = None
    self._files = contextlib.ExitStack()

  def get(self, url: str, runtime: str, load: Callable[..., Any]) -> LoadedModel:
    with self._lock:  # others wait, and find it
      if self._key != (url, runtime) or self._loaded is None:
        self._drop()  # two may be more than there is memory for
        # A model opens some of its files when the first picture of a size comes.
        path = self._files.enter_context(local_copy(url))
        if not os.path.isdir(path) or not os.listdir(path):
          raise RuntimeError(f"{url} is gone, where the job's model was: run it again")
        self._loaded = LoadedModel(load(path, runtime=runtime))
        self._key = (url, runtime)
      return self._loaded

  def forget(self) -> None:
    with self._lock:
      self._drop()

  def _drop(self) -> None:
    self._loaded = self._key = None
    self._files.close()


_KEPT = _Kept()
atexit.register(_KEPT.forget)


def staged_model(
  scratch: Folder, runtime: str, load: Callable[..., Any]
) -> LoadedModel:
  """The model of a job, loaded by the first call in every process.

  Args:
    scratch: the job's folder.
    runtime: that runs it.
    load: `Codec.load` or `Detector.load`.

  Raises:
    RuntimeError: the job's folder is gone, or the runtime is not installed here.
  """
  return _KEPT.get(scratch.below(MODEL).url, runtime, load)


def forget_model() -> None:
  """Lets go of this process's model."""
  _KEPT.forget()
