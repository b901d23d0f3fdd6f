"""What takes long to make and many tests use is made once for all of a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

PLACE = "TESTS_MADE_ONCE"  # in the environment: the folder that a run's processes share


def made_once(name: str, make: Callable[[Path], object], folder: Path) -> Path:
  """Copies what `make` writes into a folder, made by whoever asks first.

  Args:
    name: of what is made; equal names mean equal contents.
    make: is given a folder that does not exist yet.
    folder: the copy, which is the asker's own.

  Returns:
    `folder`.
  """
  if PLACE not in os.environ:  # outside of pytest
    make(folder)
    return folder
  place = Path(os.environ[PLACE])
  place.mkdir(exist_ok=True)
  with open(place / f"{name}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (place / name).exists():
      shutil.rmtree(place / f"{name}.part", ignore_errors=True)
      make(place / f"{name}.part")
      (place / f"{name}.part").rename(place / name)
  shutil.copytree(place / name, folder)
  return folder
