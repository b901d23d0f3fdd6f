"""What a job could not use: one JSON line each, and how much of it is too much."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hardmine.schemas.folders import Folder, folder, read_lines
from hardmine.schemas.uris import absolute, join, parent_and_name

DEAD_LETTERS = "dead_letters.jsonl"
_NUM_TOLD = 3  # examples in a message


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeadLetter:
  """A file that could not be used: a word to count by, and what was found."""

  source: str
  reason: str
  detail: str


def lines(letters: Iterable[Mapping[str, Any]]) -> str:
  """The letters as JSON Lines."""
  return "".join(json.dumps(letter) + "\n" for letter in letters)


def count(words: Iterable[str]) -> dict[str, int]:
  """How often each word occurs, in order of the words."""
  return dict(sorted(collections.Counter(words).items()))


def first_examples(letters: str | os.PathLike) -> dict[str, dict[str, str]]:
  """The first letter of each reason, in words; none where there is no list.

  Args:
    letters: path or URL of the list.

  Returns:
    `dead`, of whole files, and `skipped`, of annotations, each by reason.
  """
  found: dict[str, dict[str, str]] = {"dead": {}, "skipped": {}}
  place, name = parent_and_name(absolute(letters))
  if not folder(place).exists(name):
    return found
  for letter in map(json.loads, read_lines(folder(place), name)):
    kind = "dead" if letter.get("number") is None else "skipped"
    if letter["reason"] not in found[kind]:
      found[kind][letter["reason"]] = in_words(letter)
  return found


def in_words(letter: Mapping[str, Any]) -> str:
  """A letter's file, of annotations the place in it, and what was found."""
  where = letter.get("file") or letter["source"]
  if letter.get("annotation_id") is not None:
    where += f", annotation {letter['annotation_id']}"
  return f"{where}: {letter['detail']}"


def report_beside(output: str) -> tuple[str, str]:
  """Where a job that fails leaves its letters: beside the output it did not make.

  Args:
    output: absolute.

  Returns:
    (the folder, the name of the list).
  """
  place, name = parent_and_name(output)
  return place, f"{name}.{DEAD_LETTERS}"


def remove_report_beside(output: str) -> None:
  """Removes what an earlier job that failed left there."""
  place, name = report_beside(output)
  folder(place).remove(name)


def check_share(
  reasons: Mapping[str, int],
  total: int,
  max_share: float,
  *,
  noun: str,
  output: str,
  write: Callable[[Folder, str], None],
) -> None:
  """Fails a job of which too much is dead.

  Args:
    reasons: dead ones by reason.
    total: dead or alive.
    max_share: the share that is allowed; all of them never are.
    noun: what is counted, as `files`.
    output: of the job, absolute.
    write: leaves the letters in a folder under a name; called only for a job that
      fails.

  Raises:
    RuntimeError: naming the reasons, their first examples and where the letters lie.
  """
  dead = sum(reasons.values())
  if not dead or (dead / total <= max_share and dead < total):
    return
  place, name = report_beside(output)
  write(folder(place), name)
  report = join(place, name)
  told = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
  examples = first_examples(report)
  firsts = {**examples["skipped"], **examples["dead"]}
  if noun == "annotations":
    firsts |= examples["skipped"]
  commonest = sorted(firsts.keys() & reasons, key=lambda reason: -reasons[reason])
  first = "; ".join(firsts[reason] for reason in commonest[:_NUM_TOLD])
  raise RuntimeError(
    f"{dead} of {total} {noun} cannot be used ({told}), more than the allowed share "
    f"of {max_share:g}, as {first}; nothing was written but {report}, which names "
    "them all: repair or remove them, or allow more (max_dead_share)"
  )
