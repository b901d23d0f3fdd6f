"""The study as one page that fetches and runs nothing."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies import figures, load
from hardmine.pipelines.studies.records import lineage
from hardmine.pipelines.studies.tables import frontier, shown
from hardmine.pipelines.studies.timing import PARTS
from hardmine.serving.pages.shell import render_page

TEMPLATE = Path(__file__).with_name("tradeoff.html.jinja")
# From light to dark as a detection goes on.
_PART_COLOURS = dict(
  zip(PARTS, ("#cbd5e1", "#56b4e9", "#e69f00", "#0072b2", "#cc79a7"))
)
_MOST_PROBLEMS = 10


def render(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
  """The page as text.

  Args:
    rows: of `tables.flat`.
    facts: how they came about: `machine`, `runtimes`, `num_threads`, `pictures`,
      `data` or None, `environment`, `command`.
  """
  failed = [row for row in rows if row["problem"]]
  problems = [f"{row['name']}: {row['problem']}" for row in failed[:_MOST_PROBLEMS]]
  if len(failed) > _MOST_PROBLEMS:
    problems.append(f"and {len(failed) - _MOST_PROBLEMS} more, see the table")
  heads, cells = shown(rows)
  on_frontier = frontier([row for row in rows if row["on_frontier"]])
  by_name = {row["name"]: row for row in rows}
  return render_page(
    TEMPLATE,
    verdict=None,
    problems=problems,
    environment=facts["environment"],
    lineage=lineage(facts),
    config=None,
    rows=rows,
    facts=facts,
    num_failed=len(failed),
    by_precision=any(row["AP"] is not None for row in rows),
    measured=bool(facts["runtimes"]),
    figures=figures.figures(rows),
    legend=figures.legend(rows),
    on_frontier=[by_name[name] for name in on_frontier],
    stacks=_stacks(rows, facts["runtimes"]),
    parts=_PART_COLOURS,
    heads=heads,
    cells=cells,
    load=load,
  )


def _stacks(
  rows: Sequence[Mapping[str, Any]], runtimes: Sequence[str]
) -> list[tuple[str, float, list[tuple[str, float, float]]]]:
  """Name, milliseconds, and of each part name, milliseconds and share.

  Of detectors that differ in nothing but the number of proposals the last one alone.
  """
  if not runtimes:
    return []
  last: dict[Any, Mapping[str, Any]] = collections.OrderedDict()
  for row in rows:
    if row["ms"] is not None:
      last[row["name"].partition("-proposals_")[0]] = row
  found = []
  for row in sorted(last.values(), key=lambda row: row["ms"]):
    of_parts = {part: row[f"{runtimes[0]}__{part}_ms"] for part in PARTS}
    known = {part: ms for part, ms in of_parts.items() if ms is not None}
    total = sum(known.values()) or 1.0
    stack = [(part, ms, 100 * ms / total) for part, ms in known.items()]
    found.append((row["name"], row["ms"], stack))
  return found
