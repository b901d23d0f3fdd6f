"""From numbers, or from the lack of them, to a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from hardmine.schemas.gates import Gate, GateResult, Verdict, judge

Model = TypeVar("Model")
Measured = TypeVar("Measured")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged(Generic[Measured]):
  """What came of a candidate and its rival.

  Attributes:
    candidate: None where there was no model, or it could not be measured.
    rival: likewise, of the last blessed model.
    verdict: None where nothing was to be judged.
    problems: why a model could not be measured, in sentences.
  """

  candidate: Measured | None
  rival: Measured | None
  verdict: Verdict | None
  problems: tuple[str, ...]


def measure_and_judge(
  load_candidate: Callable[[], Model] | None,
  load_rival: Callable[[], Model] | None,
  measure: Callable[[Model, str, str], Measured],
  *,
  numbers: Callable[[Measured], Mapping[str, float]],
  gates: tuple[Gate, ...] | None,
  report: Callable[[str], None],
) -> Judged[Measured]:
  """Measures both models in the same way, and holds the candidate against gates.

  A model that cannot be loaded or fails on an image is no error here: it is not
  blessed, and the verdict says why. Neither is a comparison passed because the
  blessed model could not be measured.

  Args:
    load_candidate: gives the model, None if there is none.
    load_rival: gives the last blessed model, None if there is none.
    measure: (model, key in `metrics.json`, title for people) to what it is worth.
    numbers: what gates look at.
    gates: what to judge by; None does not judge.
    report: is told the verdict.
  """
  candidate, problem = _attempt(
    "the model",
    load_candidate,
    lambda model: measure(model, "candidate", "this model"),
  )
  title = "last blessed model"
  rival, rival_problem = _attempt(
    f"the {title}", load_rival, lambda model: measure(model, "baseline_model", title)
  )
  verdict = None
  if gates is not None:
    verdict = judge_measured(
      gates,
      None if candidate is None else numbers(candidate),
      None if rival is None else numbers(rival),
      problem=problem,
      rival_problem=rival_problem,
    )
    report("blessed" if verdict.passed else "not blessed")
  return Judged(
    candidate=candidate,
    rival=rival,
    verdict=verdict,
    problems=tuple(filter(None, (problem, rival_problem))),
  )


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


def _attempt(
  what: str,
  load: Callable[[], Model] | None,
  measure: Callable[[Model], Measured],
) -> tuple[Measured | None, str | None]:
  """(what `measure` returns, or a sentence about why there is nothing)."""
  if load is None:
    return None, None
  try:
    return measure(load()), None
  except Exception as error:  # whatever TensorFlow raises is the model's fault
    text = " ".join(str(error).split())[:500]
    return None, f"{what} could not be measured: {type(error).__name__}: {text}"
