"""A failure is never told as a verdict, nor a bad model as a failure."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from hardmine.components.evaluation.judging import measure_and_judge
from hardmine.schemas.gates import Gate

BOUND = Gate(metric="AP", bound=0.5)
BETTER = Gate(metric="AP", bound=0.1, min_improvement=0.0)
ONLY_BETTER = Gate(metric="AP", min_improvement=0.01)


def raising(error):
  def load():
    raise error

  return load


def judged(*gates, candidate=lambda: 0.6, rival=None) -> Any:
  """Of models that are their own number."""
  return measure_and_judge(
    candidate,
    rival,
    lambda model, key, title: model,
    numbers=lambda number: {"AP": number},
    gates=gates,
    report=lambda line: None,
  )


def test_a_model_that_fails_is_judged_and_says_why():
  found = judged(BOUND, candidate=raising(FloatingPointError("NaN")))
  assert found.verdict.passed is False
  assert "FloatingPointError: NaN" in found.verdict.results[0].reason
  assert found.problems == found.problems[:1]


@pytest.mark.parametrize(
  "error",
  [
    ImportError("no Keras"),
    MemoryError(),
    OSError(errno.ENOSPC, "No space left on device"),
  ],
)
@pytest.mark.parametrize("who", ["candidate", "rival"])
def test_the_machines_errors_are_no_verdict(who, error):
  with pytest.raises(RuntimeError, match="says nothing of it, run again"):
    judged(BOUND, **{who: raising(error)})


def test_a_rival_that_cannot_be_measured_is_no_verdict_where_a_gate_compares():
  gone = raising(FileNotFoundError("/runs/artifacts/Trainer/model/7 is gone"))
  with pytest.raises(RuntimeError) as caught:
    judged(BOUND, BETTER, ONLY_BETTER, rival=gone)
  line = str(caught.value)
  assert "the last blessed model could not be measured" in line
  assert "model/7 is gone" in line
  for remedy in (
    "--set evaluation.gates.1.min_improvement=null",
    "--set evaluation.gates.2.min_improvement=null",
    "--set evaluation.gates.2.bound=NUMBER",
  ):
    assert remedy in line
  assert "gates.1.bound" not in line


def test_the_remedy_is_one():
  gone = raising(FileNotFoundError("gone"))
  (gate,) = (BETTER.override(["min_improvement=null"]),)
  found = judged(gate, rival=gone)
  assert found.verdict.passed is True
  assert "could not be measured" in found.problems[0]


def test_a_rival_fails_before_the_candidate_takes_its_time():
  asked = []
  with pytest.raises(RuntimeError):
    judged(
      BETTER, candidate=lambda: asked.append(1), rival=raising(ValueError("other"))
    )
  assert not asked
