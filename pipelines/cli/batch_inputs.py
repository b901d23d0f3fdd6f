"""What people mean by the files that a command is given: names, folders, patterns, `-`.

A name that cannot be used is an input all the same, with its error: whoever works on
many goes on behind it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Sequence

from hardmine.pipelines.cli.images import PIPE
from hardmine.schemas.config import require

# Where a shell puts what it pipes: `<(command)` and redirections.
OF_A_SHELL = ("/dev/fd/", "/dev/stdin", "/proc/")
_MAGIC = set("*?[{")
_REPEATED = "repeated"
_STDIN = "stdin"  # names what came through a pipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
  """A file to read.

  Attributes:
    path: that is opened, as it was given where it was.
    root: the folder below which its outcome's name begins.
    error: why there is nothing to open.
  """

  path: str
  root: str = ""
  error: Exception | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
  """What several names mean together, in their order.

  Attributes:
    files: each once.
    skipped: why a file that was matched is passed over: how many, and the first.
  """

  files: list[Input]
  skipped: dict[str, tuple[int, str]]

  def skipped_facts(self) -> dict[str, dict[str, object]]:
    """For `--json`."""
    return {
      why: {"count": count, "example": example}
      for why, (count, example) in self.skipped.items()
    }


def find_inputs(
  paths: Sequence[str], *, endings: Collection[str] | None, what: str
) -> Inputs:
  """Takes files as they are, and expands the rest as `components.jobs.patterns` does.

  Args:
    paths: files, `-`, folders, patterns, URLs.
    endings: of the names that folders are searched for; None are those of pictures.
    what: is read, for errors.

  Raises:
    ValueError: `-` comes twice.
  """
  require(paths.count(PIPE) <= 1, "`-` once, as a pipe is read once", paths=PIPE)
  files: dict[str, Input] = {}
  skipped: dict[str, tuple[int, str]] = {}
  for given in paths:
    if is_one_file(given):
      found = [Input(path=given, root=os.path.dirname(os.path.abspath(given)))]
    else:
      found = _matched(given, endings, what, skipped)
    for one in found:
      if files.setdefault(_key(one.path), one) is not one:
        _skip(skipped, _REPEATED, one.path)
  return Inputs(files=list(files.values()), skipped=skipped)


def is_one_file(given: str) -> bool:
  """Whether a name means one file, which perhaps is missing, and no pattern."""
  if given == PIPE or os.path.isfile(given) or given.startswith(OF_A_SHELL):
    return True
  return not (
    not given
    or os.path.lexists(given)
    or "://" in given
    or given[0] in "~@"
    or _MAGIC & set(given)
  )


def named(inputs: Sequence[Input], ending: Callable[[str], str]) -> list[str]:
  """A name for each one's outcome, below a folder, no two alike.

  Args:
    inputs: files.
    ending: of the outcome of a file of some name.
  """
  from hardmine.components.inference.outcome_names import outcome_names
  from hardmine.components.jobs.sources import labels_of, printable

  labels = labels_of({one.root for one in inputs if one.path != PIPE})
  ids = [
    _STDIN
    if one.path == PIPE
    else printable(labels[one.root] + _below(one.path, one.root))
    for one in inputs
  ]
  return outcome_names(ids, ending)


def _matched(
  given: str,
  endings: Collection[str] | None,
  what: str,
  skipped: dict[str, tuple[int, str]],
) -> list[Input]:
  """What a folder, pattern, list or URL means, in order of path."""
  from hardmine.components.jobs.patterns import PICTURES, match

  found, passed_over = [], []
  try:
    for one in match(given, endings=endings or PICTURES, what=what):
      if one.why:
        passed_over.append((one.why, _as_given(one.path, given)))
      elif one.facts.get("type") != "directory":
        found.append(Input(path=_as_given(one.path, given), root=one.root))
  except (ValueError, OSError, RuntimeError) as error:
    return [Input(path=given, error=error)]
  for why, path in passed_over:
    _skip(skipped, why, path)
  return sorted(found, key=lambda one: one.path)


def _skip(skipped: dict[str, tuple[int, str]], why: str, path: str) -> None:
  count, example = skipped.get(why, (0, path))
  skipped[why] = count + 1, example


def _as_given(path: str, given: str) -> str:
  """A matched path, from the current folder on where the pattern was."""
  if "://" in given or given[0] in "~@" or os.path.isabs(given):
    return path
  return os.path.relpath(path)


def _below(path: str, root: str) -> str:
  full = path if "://" in path else os.path.abspath(path)
  return full[len(root) :].lstrip("/")


def _key(path: str) -> str:
  return path if path == PIPE or "://" in path else os.path.abspath(path)
