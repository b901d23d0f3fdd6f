"""What files that are made of photographs are called."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from pathlib import PurePosixPath


def outcome_names(ids: Iterable[str], ending: str) -> dict[str, str | None]:
  """A name for each photograph's outcome, no two alike.

  Args:
    ids: of photographs: their paths below a folder, each once.
    ending: of the outcomes, as `.hmc`.

  Returns:
    By id, its path with another ending; with both where several would meet in one name
    (a.jpg and a.png give a.jpg.hmc and a.png.hmc); None for a path that would leave the
    folder.
  """
  ids = list(ids)
  known = set(ids)
  stems = {
    one: str(PurePosixPath(one).with_suffix("")) for one in ids if _is_inside(one)
  }
  counts = collections.Counter(stems.values())

  def name(one: str) -> str | None:
    stem = stems.get(one)
    if stem is None:
      return None
    # Of a.jpg, a.png and a.jpg.png, the last must not be called as the first is.
    return (stem if counts[stem] == 1 and stem not in known else one) + ending

  return {one: name(one) for one in ids}


def _is_inside(path: str) -> bool:
  steps = path.split("/")
  return all(step not in ("", ".", "..") for step in steps) and "\0" not in path
