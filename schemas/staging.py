"""Hidden folders in which outputs are made, and those that killed processes left.

    .NAME.staging-MACHINE-RANDOM            locked by whoever fills it
    .NAME.staging-MACHINE-RANDOM-new        the same, for the instant before the lock
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
_FRESH = "-new"


def staging_path(output: Path) -> Path:
  """A new name beside an output; its path is absolute."""
  return output.with_name(f"{_prefix(output)}{uuid.uuid4().hex[:8]}")


def make_locked(staging: Path) -> int:
  """Makes the folder.

  Returns:
    A descriptor whose lock says that somebody is at work there, to be closed at the
    end; -1 where the storage has no locks.
  """
  # Under a name of its own until it is locked: if it is swept before, it is made again.
  fresh = staging.with_name(f"{staging.name}{_FRESH}")
  for is_last in (False, False, True):
    fresh.mkdir(parents=True)
    lock = _locked(fresh)
    try:
      os.rename(fresh, staging)
      return lock
    except FileNotFoundError:
      if lock >= 0:
        os.close(lock)
      if is_last:
        raise
  raise AssertionError


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
  for ending in ("", ASIDE, _FRESH):
    for left in _left(output, ending):
      shutil.rmtree(left, ignore_errors=True)


def found(output: Path) -> list[tuple[Path, str]]:
  """The hidden folders of an output, as they are; nothing is touched.

  Args:
    output: absolute.

  Returns:
    Each with what it is: `left` by a process that is gone; `at_work`, or on storage
    that has no locks; `unknown`, of another machine; `aside`, the output of before,
    which `put_back` puts back.
  """
  pattern = re.compile(
    f"({re.escape(f'.{output.name}.staging-')}([0-9a-f]{{6}})-[0-9a-f]{{8}})"
    f"({_FRESH}|{ASIDE})?"
  )
  states = []
  for match in filter(None, map(pattern.fullmatch, _names_beside(output))):
    path, staging = output.with_name(match[0]), output.with_name(match[1])
    if not path.is_dir():
      continue
    if not match[0].startswith(_prefix(output)):
      state = "unknown"
    elif _is_held(path if match[3] == _FRESH else staging):
      state = "at_work"
    elif match[3] == ASIDE and not os.path.lexists(output):
      state = "aside"
    else:
      state = "left"
    states.append((path, state))
  return states


def _prefix(output: Path) -> str:
  machine = hashlib.sha256(platform.node().encode("utf-8")).hexdigest()[:6]
  return f".{output.name}.staging-{machine}-"


def _names_beside(output: Path) -> list[str]:
  try:
    return sorted(os.listdir(output.parent))
  except OSError:  # there is no such folder yet, or it cannot be listed
    return []


def _left(output: Path, ending: str) -> list[Path]:
  """Folders beside an output, of this machine and of nobody any more.

  Args:
    output: absolute.
    ending: of their names, behind that of the staging folder.
  """
  start = re.escape(_prefix(output))
  pattern = re.compile(f"({start}[0-9a-f]{{8}}){ending}")
  matches = filter(None, map(pattern.fullmatch, _names_beside(output)))
  return [
    output.with_name(match[0])
    for match in matches
    if not _is_held(output.with_name(match[0 if ending == _FRESH else 1]))
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
