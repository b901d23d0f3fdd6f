"""From numbers, or from the lack of them, to a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

from hardmine.schemas.gates import Gate, GateResult, Verdict, judge

T = TypeVar("T")


def attempt(what: str, measure: Callable[[], T]) -> tuple[T | None, str | None]:
  """What `measure` returns, or a sentence about why it does not.

  A model that cannot be loaded or fails on an image is no error of the evaluation.

  Args:
    what: is measured, as in "the model".
    measure: may raise anything.
  """
  try:
    return measure(), None
  except Exception as error:  # whatever TensorFlow raises is the model's fault
    text = " ".join(str(error).split())[:500]
    return None, f"{what} could not be measured: {type(error).__name__}: {text}"


def judge_measured(
  gates: tuple[Gate, ...],
  candidate: Mapping[str, float] | None,
  rival: Mapping[str, float] | None,
  *,
  problem: str | None = None,
  rival_problem: str | None = None,
) -> Verdict:
  """Holds a candidate against gates; a missing measurement passes none of them.

  Args:
    gates: what to judge by.
    candidate: its numbers, None if it could not be measured.
    rival: those of the last blessed model, None if there is none or it could not be
      measured.
    problem: why the candidate has no numbers; part of every reason then.
    rival_problem: why the rival has none. No comparison passes because of that.
  """
  verdict = judge(gates, dict(candidate or {}), None if rival is None else dict(rival))
  results = list(verdict.results)
  if problem is not None:
    results = [
      dataclasses.replace(result, reason=f"{result.reason}; {problem}")
      for result in results
    ]
  if rival_problem and any(gate.min_improvement is not None for gate in gates):
    results.append(
      GateResult(
        metric="baseline_model",
        passed=False,
        value=None,
        bound=None,
        baseline=None,
        reason=rival_problem,
      )
    )
  return Verdict(
    passed=verdict.passed and all(result.passed for result in results),
    results=tuple(results),
  )
