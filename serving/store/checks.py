"""What must hold before an alias moves to a version."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from hardmine.serving.probe.sandbox import Outcome
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.comparison import (
  MetricDifference,
  differences,
  incomparable,
)
from hardmine.serving.store.entries import Version
from hardmine.serving.store.signing import genuine_dir, short, verify_signature

Answers = Callable[[Path], Outcome]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
  """One condition.

  Attributes:
    name: short.
    passed: whether it holds.
    reason: one line, with the numbers.
    can_override: a person may pass over it; never over a damaged model, one that the
      wrong people or nobody signed, nor one that does not answer.
  """

  name: str
  passed: bool
  reason: str
  can_override: bool = False


def judged(candidate: Version) -> Check:
  """Whether its evaluation blessed it."""
  results = candidate.results
  failed = [
    f"{r.get('metric')}: {r.get('reason')}" for r in results if not r.get("passed")
  ]
  passed = candidate.verdict.get("passed") is True
  if passed:
    reason = f"passed {len(results)} gate{'s' * (len(results) != 1)}"
  else:
    reason = "; ".join(failed) or "no gate was passed"
  return Check(name="verdict", passed=passed, reason=reason, can_override=True)


def newer(number: int | None, held: int | None, allow_older: bool) -> Check:
  """Whether a version's number, None before it has one, is above that of `held`."""
  if number is None:
    reason, passed = "new to the store", True
  elif held is None:
    reason, passed = "the alias is new", True
  else:
    passed = number > held or allow_older
    reason = f"{number} is {'newer' if number > held else 'older'} than {held}"
    reason += "" if passed else " (--allow-older lets it pass)"
  return Check(name="newer", passed=passed, reason=reason, can_override=True)


def compared(
  store: Catalogue, candidate: Version, current: int | None
) -> tuple[Check, tuple[MetricDifference, ...]]:
  """Whether its numbers are not worse than those of what the alias holds."""
  try:
    rival = None if current is None else store.version(current)
    numbers = differences(candidate, rival)
    problem = incomparable(candidate, rival) if rival else None
  except (RuntimeError, ValueError, OSError) as error:
    # A way out of a version that is damaged, or gone, must stay open.
    numbers, rival, problem = (), None, f"what the alias holds is damaged: {error}"
  if problem:
    reason, passed = problem, False
  elif rival is None:
    reason, passed = "nothing to compare with", True
  else:
    worse = [one for one in numbers if not one.passed]
    passed = not worse
    reason = "; ".join(map(str, worse or numbers))
  check = Check(name="numbers", passed=passed, reason=reason, can_override=True)
  return check, numbers


def whole(store: Catalogue, number: int) -> Check:
  """Whether every file is as in the manifest."""
  try:
    store.verify(number)
  except RuntimeError as error:
    return Check(name="files", passed=False, reason=str(error))
  return Check(name="files", passed=True, reason="as in the manifest")


def signed(
  store: Catalogue,
  number: int,
  public_keys: Sequence[str | os.PathLike],
  hint: str = "",
) -> Check:
  """Whether the holder of one of the keys vouches for every file.

  Args:
    store: holds the version.
    number: of the version.
    public_keys: PEM files.
    hint: ends the reason where nobody does.
  """
  try:
    key = verify_signature(store, number, public_keys)
  except RuntimeError as error:
    return Check(name="signature", passed=False, reason=f"{error}{hint}")
  return Check(name="signature", passed=True, reason=f"by {short(key)}")


def answers(
  store: Catalogue,
  candidate: Version,
  check: Answers,
  public_keys: Sequence[str | os.PathLike] = (),
) -> Check:
  """Whether the model loads and answers."""
  try:
    with genuine_dir(store, candidate.number, public_keys) as model_dir:
      outcome = check(model_dir)
  except RuntimeError as error:  # it was changed since the other checks
    return Check(name="answers", passed=False, reason=str(error))
  reason = outcome.reason
  if outcome.passed:
    reason += f" in {outcome.seconds:.1f} s, {outcome.peak_bytes >> 20} MiB"
  return Check(name="answers", passed=outcome.passed, reason=reason)
