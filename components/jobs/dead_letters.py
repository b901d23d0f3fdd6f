"""What a job could not use: one JSON line each, and how much of it is too much."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

DEAD_LETTERS = "dead_letters.jsonl"


def lines(letters: Iterable[Mapping[str, Any]]) -> str:
  """The letters as JSON Lines."""
  return "".join(json.dumps(letter) + "\n" for letter in letters)


def count(words: Iterable[str]) -> dict[str, int]:
  """How often each word occurs, in order of the words."""
  return dict(sorted(collections.Counter(words).items()))


def report_beside(output: Path) -> Path:
  """Where a job that fails leaves its letters: beside the output it did not make."""
  return output.with_name(f"{output.name}.{DEAD_LETTERS}")


def check_share(
  reasons: Mapping[str, int],
  total: int,
  max_share: float,
  *,
  noun: str,
  output: Path,
  write: Callable[[Path], None],
) -> None:
  """Fails a job of which too much is dead.

  Args:
    reasons: dead ones by reason.
    total: dead or alive.
    max_share: the share that is allowed; all of them never are.
    noun: what is counted, as `files`.
    output: of the job.
    write: leaves the letters at a path; called only for a job that fails.

  Raises:
    RuntimeError: naming the reasons and where the letters lie.
  """
  dead = sum(reasons.values())
  if not dead or (dead / total <= max_share and dead < total):
    return
  report = report_beside(output)
  write(report)
  told = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
  raise RuntimeError(
    f"{dead} of {total} {noun} cannot be used ({told}), more than the allowed share "
    f"of {max_share:g}; nothing was written but {report}, which names them: repair "
    "or remove them, or allow more"
  )
