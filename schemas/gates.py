"""Gates: what a model must reach before it is blessed.

A gate looks at one number of `metrics.json`. It may hold an absolute bound, and
it may compare with the last blessed model, measured on the same images in the
same run.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from hardmine.schemas.config import Config, require

# What rounding may take from a difference: 0.12 is 0.01 better than 0.11, though their
# floats are 0.00999... apart. Far below anything that a metric means.
TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate(Config):
  """One condition.

  Attributes:
    metric: key in `metrics.json`.
    direction: which way is better.
    bound: the worst value that passes; None sets no bound.
    min_improvement: how much better than the rival the value must be, in the
      metric's unit; 0 is "not worse", a negative number tolerates that much
      loss, None does not compare.
  """

  metric: str
  direction: Literal["higher", "lower"] = "higher"
  bound: float | None = None
  min_improvement: float | None = None

  def __post_init__(self):
    require(
      self.bound is not None or self.min_improvement is not None,
      "a bound, a min_improvement, or both",
      bound=self.bound,
      min_improvement=self.min_improvement,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateResult(Config):
  """What a gate said, with the numbers it looked at and the reason in words."""

  metric: str
  passed: bool
  value: float | None
  bound: float | None
  baseline: float | None
  reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict(Config):
  """The content of `verdict.json`."""

  passed: bool
  results: tuple[GateResult, ...]


def gain(value: float, reference: float, direction: str) -> float:
  """How much better a value is than a reference; negative where it is worse."""
  return (value - reference) * (1 if direction == "higher" else -1)


def is_enough(gained: float, required: float) -> bool:
  """Whether a gain reaches what is required, up to rounding."""
  return gained >= required - TOLERANCE


def judge(
  gates: tuple[Gate, ...], metrics: dict[str, float], rival: dict[str, float] | None
) -> Verdict:
  """Holds metrics against gates.

  Args:
    gates: all must pass; no gate at all passes nothing.
    metrics: of the candidate.
    rival: of the last blessed model, or None where there is none yet: then
      a comparison passes.
  """
  results = tuple(_judge_one(gate, metrics, rival) for gate in gates)
  return Verdict(
    passed=bool(results) and all(r.passed for r in results), results=results
  )


def _judge_one(
  gate: Gate, metrics: dict[str, float], rival: dict[str, float] | None
) -> GateResult:
  value = metrics.get(gate.metric)
  reference = (rival or {}).get(gate.metric)
  failures, reasons = [], []
  if value is None or not math.isfinite(value):
    failures.append(f"{gate.metric} was not measured (value: {value})")
    value = None
  else:
    if gate.bound is not None:
      relation = "at least" if gate.direction == "higher" else "at most"
      line = f"{value:.4f} must be {relation} {gate.bound:.4f}"
      passed = is_enough(gain(value, gate.bound, gate.direction), 0.0)
      (reasons if passed else failures).append(line)
    if gate.min_improvement is not None:
      if reference is None:
        reasons.append("no blessed model to compare with")
      else:
        gained = gain(value, reference, gate.direction)
        word = "better" if gained >= 0 else "worse"
        line = (
          f"{value:.4f} is {abs(gained):.4f} {word} than "
          f"the blessed model's {reference:.4f}, required {gate.min_improvement:+.4f}"
        )
        passed = is_enough(gained, gate.min_improvement)
        (reasons if passed else failures).append(line)
  return GateResult(
    metric=gate.metric,
    passed=not failures,
    value=value,
    bound=gate.bound,
    baseline=reference,
    reason="; ".join(failures or reasons),
  )
