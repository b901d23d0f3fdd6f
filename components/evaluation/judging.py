"""From numbers, or from the lack of them, to a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from hardmine.components.plumbing import is_of_machine
from hardmine.schemas.gates import Gate, Verdict, judge

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
  blessed, and the verdict says why. A rival that cannot be measured is one, where a
  gate compares: neither passing nor failing that gate would be true.

  Args:
    load_candidate: gives the model, None if there is none.
    load_rival: gives the last blessed model, None if there is none.
    measure: (model, key in `metrics.json`, title for people) to what it is worth.
    numbers: what gates look at.
    gates: what to judge by; None does not judge.
    report: is told the verdict.

  Raises:
    RuntimeError: the rival could not be measured, and a gate compares; or the machine
      failed (`plumbing`), which says nothing of a model.
  """
  title = "last blessed model"
  rival, rival_problem = _attempt(
    f"the {title}", load_rival, lambda model: measure(model, "baseline_model", title)
  )
  if rival_problem:
    _require_no_comparison(gates or (), rival_problem)
  candidate, problem = _attempt(
    "the model",
    load_candidate,
    lambda model: measure(model, "candidate", "this model"),
  )
  verdict = None
  if gates is not None:
    verdict = judge_measured(
      gates,
      None if candidate is None else numbers(candidate),
      None if rival is None else numbers(rival),
      problem=problem,
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
) -> Verdict:
  """Holds a candidate against gates; a missing measurement passes none of them.

  Args:
    gates: what to judge by.
    candidate: its numbers, None if it could not be measured.
    rival: those of the last blessed model, None if there is none.
    problem: why the candidate has no numbers; part of every reason then.
  """
  verdict = judge(gates, dict(candidate or {}), None if rival is None else dict(rival))
  if problem is None:
    return verdict
  results = tuple(
    dataclasses.replace(result, reason=f"{result.reason}; {problem}")
    for result in verdict.results
  )
  return dataclasses.replace(verdict, results=results)


def _require_no_comparison(gates: tuple[Gate, ...], problem: str) -> None:
  """Raises where a gate needs the numbers of a rival that has none."""
  words = []
  for place, gate in enumerate(gates):
    if gate.min_improvement is not None:
      words.append(f"--set evaluation.gates.{place}.min_improvement=null")
      if gate.bound is None:
        words.append(f"--set evaluation.gates.{place}.bound=NUMBER")
  if words:
    raise RuntimeError(
      f"{problem}, so nothing can be compared with it: put it back, or judge once by "
      f"bounds alone ({' '.join(words)}); what is blessed then is to be beaten next"
    )


def _attempt(
  what: str,
  load: Callable[[], Model] | None,
  measure: Callable[[Model], Measured],
) -> tuple[Measured | None, str | None]:
  """(what `measure` returns, or a sentence about why there is nothing).

  Raises:
    RuntimeError: it was the machine that failed.
  """
  if load is None:
    return None, None
  try:
    return measure(load()), None
  except Exception as error:  # whatever else TensorFlow raises is the model's fault
    text = " ".join(str(error).split())[:500]
    problem = f"{what} could not be measured: {type(error).__name__}: {text}"
    if is_of_machine(error):
      raise RuntimeError(f"{problem}; that says nothing of it, run again") from error
    return None, problem
