"""What makes a remote job known again: a name and labels, made from what it does.

A scheduler that lost the answer starts the same command a second time. Its job then has
the name of the first, which `dataflow_runner` finds and waits for.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from hardmine.schemas.config import require

RUNNER = "hardmine.components.jobs.dataflow_runner.DataflowRunner"
RUN_LABEL = "hardmine-run"
JOB_LABEL = "hardmine-job"
VERSION_LABEL = "hardmine-version"
PLACE_LABEL = "hardmine-place"
_OURS = (JOB_LABEL, RUN_LABEL, VERSION_LABEL, PLACE_LABEL)
_MOST_LABELS = 64
_MOST_CHARACTERS = 63
_MOST_BYTES = 128


def run_id(*facts: str) -> str:
  """12 hexadecimal digits, equal for equal facts: a config's JSON, an output's URL."""
  digest = hashlib.sha256()
  for fact in facts:
    text = fact.encode("utf-8", "surrogatepass")  # a path may be no text
    digest.update(b"%d:" % len(text) + text)
  return digest.hexdigest()[:12]


def identified(arguments: Sequence[str], *, job: str, run: str) -> list[str]:
  """Beam arguments that name the job, where they run it on Dataflow; others as given.

  Args:
    arguments: as `pipelines.dataflow.dataflow` gives them. A `--job_name` among them
      stays; labels that were ours are replaced.
    job: what it does, as `mine`.
    run: of `run_id`.

  Raises:
    ValueError: the job's word or the run are no label's value.
  """
  if f"--runner={RUNNER}" not in arguments:
    return list(arguments)
  told = {JOB_LABEL: job, RUN_LABEL: run, VERSION_LABEL: _version()}
  check_labels(told)
  kept = [argument for argument in arguments if _label_of(argument) not in told]
  if not any(argument.startswith("--job_name=") for argument in kept):
    kept.append(f"--job_name=hardmine-{job}-{run}")
  return [*kept, *(f"--labels={key}={value}" for key, value in told.items())]


def mark(pipeline: Any, place: str) -> None:
  """Notes where a job writes in its labels, on a runner that has them.

  Args:
    pipeline: before it runs.
    place: what `place_of` is to give, a label's value.

  Raises:
    ValueError: it is none.
  """
  if add := getattr(pipeline.runner, "add_label", None):
    check_labels({PLACE_LABEL: place})
    add(pipeline.options, PLACE_LABEL, place)


def place_of(result: Any, own: str) -> str:
  """Where the job of a result wrote: not in our own place if an earlier call began it.

  Args:
    result: of a pipeline, on any runner.
    own: of `mark`.
  """
  return getattr(result, "labels", {}).get(PLACE_LABEL, own)


def check_labels(labels: dict[str, str], *, given: Iterable[str] = ()) -> None:
  """Holds Google's rules of labels.

  Args:
    labels: all of a job's.
    given: the keys that a person chose, of which none may be ours.

  Raises:
    ValueError: Google would refuse one of them.
  """
  for key in given:
    require(key not in _OURS, "labels other than ours", label=key)
  require(
    len(labels) <= _MOST_LABELS, f"at most {_MOST_LABELS} labels", number=len(labels)
  )
  for key, value in labels.items():
    require(
      bool(key) and _fits(key) and unicodedata.category(key[0]) in ("Ll", "Lo"),
      "a label's key of 1 to 63 lower-case letters, digits, _ and -, a letter first",
      label=key,
    )
    require(
      _fits(value),
      "a label's value of at most 63 lower-case letters, digits, _ and -",
      **{key: value},
    )


def _fits(text: str) -> bool:
  return (
    len(text) <= _MOST_CHARACTERS
    and len(text.encode("utf-8")) <= _MOST_BYTES
    and all(
      sign in "_-" or unicodedata.category(sign) in ("Ll", "Lo", "Nd", "Nl", "No")
      for sign in text
    )
  )


def _label_of(argument: str) -> str | None:
  flag, _, label = argument.partition("=")
  return label.partition("=")[0] if flag == "--labels" else None


def _version() -> str:
  from importlib import metadata  # every command's arguments come by here

  return metadata.version("hardmine").replace(".", "-").replace("+", "-").lower()
