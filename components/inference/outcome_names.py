"""What files that are made of photographs are called."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath


def outcome_names(ids: Sequence[str], ending: Callable[[str], str]) -> list[str]:
  """A name for each photograph's outcome, no two alike where no two ids are.

  Args:
    ids: of photographs: their paths below a folder.
    ending: of the outcome of a photograph, as `.hmc`.

  Returns:
    Each path with another ending; with both where several would meet in one name:
    a.jpg and a.png give a.jpg.hmc and a.png.hmc.
  """
  short = [str(PurePosixPath(one).with_suffix("")) + ending(one) for one in ids]
  whole = [one + ending(one) for one in ids]
  counts, taken = collections.Counter(short), set(whole)
  # Of a.jpg, a.png and a.jpg.png, the last must not be called as the first is.
  return [
    one if counts[one] == 1 and (one not in taken or one == other) else other
    for one, other in zip(short, whole)
  ]


def is_below(path: str) -> bool:
  """Whether a path stays below the folder that it begins in, by names alone."""
  steps = path.split("/")
  return all(step not in ("", ".", "..") for step in steps) and "\0" not in path
