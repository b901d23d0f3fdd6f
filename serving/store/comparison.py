"""Whether a version is worse than another: by the gates of its own experiment."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hardmine.schemas.gates import gain, is_enough
from hardmine.serving.store.entries import Version

EVALUATION_SET = "evaluation_set"  # in metrics: names images and settings measured on


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricDifference:
  """One number of a candidate, beside that of its rival.

  Attributes:
    metric: its name.
    before: of the rival, None where it has none.
    after: of the candidate, None where it has none.
    direction: which way is better: `higher` or `lower`.
    required: the least gain, in the metric's unit.
    passed: whether the gain is enough.
  """

  metric: str
  before: float | None
  after: float | None
  direction: str
  required: float
  passed: bool

  @property
  def gain(self) -> float | None:
    """Positive is better; None where there is nothing to compare."""
    if self.before is None or self.after is None:
      return None
    return gain(self.after, self.before, self.direction)

  def __str__(self) -> str:
    shown = f"{self.metric} {_number(self.after)}, was {_number(self.before)}"
    if self.gain is None:
      return shown
    word = "better" if self.gain >= 0 else "worse"
    return f"{shown}: {abs(self.gain):.4f} {word}, required {self.required:+.4f}"


def differences(
  candidate: Version, rival: Version | None
) -> tuple[MetricDifference, ...]:
  """One per gate of the candidate's experiment.

  A gate requires its `min_improvement`; one that has none requires not to be worse.
  Without a rival nothing is required.

  Args:
    candidate: to be promoted.
    rival: what the alias holds, None where it holds nothing.
  """
  found = []
  for gate in _gates(candidate):
    metric, direction = gate["metric"], gate.get("direction", "higher")
    required = gate.get("min_improvement") or 0.0
    before = None if rival is None else rival.numbers.get(metric)
    after = candidate.numbers.get(metric)
    one = MetricDifference(
      metric=metric,
      before=before,
      after=after,
      direction=direction,
      required=required,
      passed=True,
    )
    if rival is not None:
      passed = one.gain is not None and is_enough(one.gain, required)
      one = dataclasses.replace(one, passed=passed)
    found.append(one)
  return tuple(found)


def incomparable(candidate: Version, rival: Version) -> str | None:
  """Why the numbers of two versions say nothing about each other, or None."""
  if candidate.kind != rival.kind:
    return f"a {candidate.kind} cannot be compared with a {rival.kind}"
  ours, theirs = (v.metrics.get(EVALUATION_SET) for v in (candidate, rival))
  if ours is None or theirs is None:
    which = candidate if ours is None else rival
    return (
      f"version {which.number} does not say which evaluation set it was measured on"
    )
  if ours != theirs:
    return (
      f"measured on another evaluation set than version {rival.number} "
      f"({_short(ours)} and {_short(theirs)}): evaluate both on one"
    )
  if not _gates(candidate):
    return "its experiment has no gate, so no number decides"
  return None


def _gates(version: Version) -> list[dict[str, Any]]:
  evaluation = version.experiment.get("evaluation")
  gates = evaluation.get("gates") if isinstance(evaluation, dict) else None
  return gates if isinstance(gates, list) else []


def _number(value: float | None) -> str:
  return "none" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _short(name: Any) -> str:
  return str(name)[:12]
