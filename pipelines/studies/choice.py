"""Which models become an ensemble: the best ones that differ.

Huang et al. (arXiv 1611.10012, section 4.3): candidates are taken greedily, the best
first, but not those whose average precisions by category are much like those of one
that was taken: models that fail on the same categories correct each other little. How
much is too much, the paper does not say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from hardmine.schemas.ensemble_config import MOST_SIMILAR


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
  """A model, and what it reached on the images that choose.

  Attributes:
    name: of it.
    ap: average precision, mean over categories.
    by_category: float64 [categories], NaN where there is nothing to measure on.
  """

  name: str
  ap: float
  by_category: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """What became of a candidate, in the order of the choice.

  Attributes:
    name: of the candidate.
    ap: its own.
    similarity: cosine to the most similar model taken before, None without one or
      where a single category leaves nothing to compare.
    similar_to: the name of that model.
    ensemble_ap: of all taken and this one, None where that was not asked.
    taken: whether it is a member.
    reason: why, in words.
  """

  name: str
  ap: float
  similarity: float | None = None
  similar_to: str | None = None
  ensemble_ap: float | None = None
  taken: bool
  reason: str


def choose(
  candidates: Sequence[Candidate],
  ensemble_ap: Callable[[Sequence[str]], float],
  size: int,
  most_similar: float = MOST_SIMILAR,
) -> list[Step]:
  """Goes through candidates, the best first; equals by name.

  Args:
    candidates: at least one, in any order.
    ensemble_ap: of the models of these names together, on the images that choose.
    size: of the ensemble, at most.
    most_similar: cosine of two vectors of precisions above which one of them is enough.
  """
  steps: list[Step] = []
  taken: list[Candidate] = []
  best = -1.0
  for one in sorted(candidates, key=lambda one: (-one.ap, one.name)):
    if len(taken) == size:
      steps.append(
        Step(name=one.name, ap=one.ap, taken=False, reason=f"{size} are taken")
      )
      continue
    step = _step(one, taken, best, ensemble_ap, most_similar)
    steps.append(step)
    if step.taken:
      taken.append(one)
      best = step.ensemble_ap if step.ensemble_ap is not None else one.ap
  return steps


def _step(
  one: Candidate,
  taken: Sequence[Candidate],
  best: float,
  ensemble_ap: Callable[[Sequence[str]], float],
  most_similar: float,
) -> Step:
  if not taken:
    return Step(name=one.name, ap=one.ap, taken=True, reason="the best alone")
  known = [
    (found, other.name) for other in taken if (found := cosine(one, other)) is not None
  ]
  similarity, similar_to = max(known, default=(None, None))
  if similarity is not None and similarity > most_similar:
    return Step(
      name=one.name,
      ap=one.ap,
      similarity=similarity,
      similar_to=similar_to,
      taken=False,
      reason=f"too similar to {similar_to}",
    )
  together = ensemble_ap([*(other.name for other in taken), one.name])
  gains = together >= best
  return Step(
    name=one.name,
    ap=one.ap,
    similarity=similarity,
    similar_to=similar_to,
    ensemble_ap=together,
    taken=gains,
    reason="better together, or as good" if gains else "worse together",
  )


def cosine(one: Candidate, other: Candidate) -> float | None:
  """Of the two vectors, 0 to 1; None where fewer than two categories are measured.

  One number points nowhere but forward: all models of one category would be alike.
  """
  known = np.isfinite(one.by_category) & np.isfinite(other.by_category)
  if known.sum() < 2:
    return None
  a, b = one.by_category[known], other.by_category[known]
  norm = float(np.linalg.norm(a) * np.linalg.norm(b))
  return min(float(a @ b) / norm, 1.0) if norm > 0 else 0.0
