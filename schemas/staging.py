"""Hidden folders in which outputs are made, and those that killed processes left.

    .NAME.staging-MACHINE-RANDOM            locked by whoever fills it
    .NAME.staging-MACHINE-RANDOM-replaced   the output of before, for an instant

A lock goes with its process, whatever ends that. On storage that machines share only
the own ones' locks can be trusted: nothing of another machine's is touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import uuid
from pathlib import Path

ASIDE = "-replaced"


def staging_path(output: Path) -> Path:
  """A new name beside an output; its path is absolute."""
  return output.with_name(f"{_prefix(output)}{uuid.uuid4().hex[:8]}")


def make_locked(staging: Path) -> int:
  """Makes the folder.

  Returns:
    A descriptor whose lock says that somebody is at work there, to be closed at the
    end; -1 where the storage has no locks.
  """
  # Under a name that nobody sweeps, until it is locked.
  fresh = staging.with_name(f"{staging.name}-new")
  fresh.mkdir(parents=True)
  lock = _locked(fresh)
  os.rename(fresh, staging)
  return lock


def put_back(output: Path) -> None:
  """Undoes the moving aside of an output that a killed process never replaced."""
  if not os.path.lexists(output):
    for aside in _left(output, ASIDE)[:1]:
      os.rename(aside, output)


def sweep(output: Path) -> None:
  """Removes what killed processes of this machine left; an output aside was replaced.

  Args:
    output: after `put_back`.
  """
  for left in _left(output, "") + _left(output, ASIDE):
    shutil.rmtree(left, ignore_errors=True)


def _prefix(output: Path) -> str:
  machine = hashlib.sha256(platform.node().encode("utf-8")).hexdigest()[:6]
  return f".{output.name}.staging-{machine}-"


def _left(output: Path, ending: str) -> list[Path]:
  """Folders beside an output, of this machine and of nobody any more.

  Args:
    output: absolute.
    ending: of their names, behind that of the staging folder.
  """
  pattern = re.compile(f"({re.escape(_prefix(output))}[0-9a-f]{{8}}){ending}")
  try:
    names = os.listdir(output.parent)
  except OSError:  # there is no such folder yet, or it cannot be listed
    return []
  found = [match for match in map(pattern.fullmatch, sorted(names)) if match]
  return [
    output.with_name(match[0])
    for match in found
    if not _is_held(output.with_name(match[1]))
  ]


def _locked(folder: Path) -> int:
  try:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  except OSError:
    return -1
  try:
    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError:
    os.close(number)
    return -1
  return number


def _is_held(folder: Path) -> bool:
  """Whether somebody may be at work there; not in one that is missing."""
  number = _locked(folder)
  if number >= 0:
    os.close(number)
    return False
  return os.path.lexists(folder)
