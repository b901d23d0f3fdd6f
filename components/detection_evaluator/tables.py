"""The rows of the report's tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hardmine.components.detection_evaluator.evaluate import Evaluation
from hardmine.components.detection_evaluator.figures import by_precision
from hardmine.serving.pages.conventions import SUMMARY

MAX_HEAT_CATEGORIES = 12  # a larger table is not read any more
MAX_PAIRS = 15


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heat:
  """A table of confusions, of the categories that occur in any.

  Attributes:
    columns: names of what was found.
    rows: name of what is there, then a cell a column: count, and its share of the
      row in [0, 1].
  """

  columns: tuple[str, ...]
  rows: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confused:
  """Confusions in numbers.

  Attributes:
    right: objects found as what they are.
    mistaken: objects found as another category.
    missed: objects not found.
    false: detections of nothing.
    heat: None with too many categories for a table.
    pairs: the most frequent mistakes: is, found as, count, share of what is there.
  """

  right: int
  mistaken: int
  missed: int
  false: int
  heat: Heat | None
  pairs: tuple[tuple[str, str, int, float], ...]


def summary_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
  """The twelve numbers, with the last blessed model's and what changed."""
  assert evaluation.candidate is not None
  rows = []
  for name, (title, detail) in SUMMARY.items():
    value = evaluation.candidate.coco.summary[name]
    before = evaluation.rival.coco.summary[name] if evaluation.rival else -1.0
    change = value - before if min(value, before) >= 0 else None
    rows.append(
      {
        "title": title,
        "detail": detail,
        "value": number(value),
        "before": number(before),
        "change": "" if change is None else f"{change:+.4f}",
        "better": change is not None and change > 0,
        "worse": change is not None and change < 0,
      }
    )
  return rows


def category_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
  """By category, those of highest AP first and those without objects last."""
  candidate = evaluation.candidate
  assert candidate is not None
  own = evaluation.per_category(candidate)
  before = evaluation.per_category(evaluation.rival)
  ranked = by_precision(candidate, evaluation.data)
  without = [column for column in range(len(own)) if column not in ranked]
  return [
    {
      "name": own[column]["name"],
      "num_objects": own[column]["num_objects"],
      "share": max(0.0, own[column]["AP"]),
      **{
        name: number(own[column][name], 3) for name in ("AP", "AP50", "AP75", "AR_100")
      },
      "before": number(before[column]["AP"], 3) if before else "",
    }
    for column in (*ranked, *without)
  ]


def confused(evaluation: Evaluation) -> Confused:
  """What the confusion matrix says."""
  assert evaluation.confusion is not None
  table = evaluation.confusion
  among = table[:-1, :-1]
  right = int(np.trace(among))
  occurring = np.flatnonzero(table[:-1].sum(axis=1) + table[:, :-1].sum(axis=0))
  names = evaluation.data.categories.names
  return Confused(
    right=right,
    mistaken=int(among.sum()) - right,
    missed=int(table[:-1, -1].sum()),
    false=int(table[-1].sum()),
    heat=_heat(table, occurring, names)
    if 0 < len(occurring) <= MAX_HEAT_CATEGORIES
    else None,
    pairs=_pairs(table, names),
  )


def number(value: float, digits: int = 4) -> str:
  """A metric, or a dash where there was nothing to measure."""
  return f"{value:.{digits}f}" if value >= 0 else "–"


def _heat(table: np.ndarray, occurring: np.ndarray, names: tuple[str, ...]) -> Heat:
  chosen = [*occurring.tolist(), len(names)]
  part = table[np.ix_(chosen, chosen)]
  totals = part.sum(axis=1, keepdims=True)
  shares = part / np.maximum(1, totals)
  shown = [names[column] for column in occurring.tolist()]
  return Heat(
    columns=(*shown, "not found"),
    rows=tuple(
      (name, tuple(zip(counts, row)))
      for name, counts, row in zip(
        [*shown, "nothing there"], part.tolist(), shares.tolist()
      )
    ),
  )


def _pairs(
  table: np.ndarray, names: tuple[str, ...]
) -> tuple[tuple[str, str, int, float], ...]:
  mistakes = table[:-1, :-1].copy()
  np.fill_diagonal(mistakes, 0)
  order = np.argsort(-mistakes, axis=None, kind="stable")[:MAX_PAIRS]
  rows, columns = np.unravel_index(order, mistakes.shape)
  totals = table[:-1].sum(axis=1)
  return tuple(
    (names[r], names[c], int(mistakes[r, c]), float(mistakes[r, c] / totals[r]))
    for r, c in zip(rows.tolist(), columns.tolist())
    if mistakes[r, c] > 0
  )
