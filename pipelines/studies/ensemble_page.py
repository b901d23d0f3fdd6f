"""`hardmine study ensemble` as one page that fetches and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies.chart import Mark, Series, chart, swatch
from hardmine.pipelines.studies.ensemble import ENSEMBLE
from hardmine.pipelines.studies.ensemble_tables import shown
from hardmine.pipelines.studies.records import lineage
from hardmine.pipelines.studies.tables import frontier
from hardmine.serving.pages.conventions import INK
from hardmine.serving.pages.shell import render_page
from hardmine.serving.pages.svg import escaped

TEMPLATE = Path(__file__).with_name("ensemble.html.jinja")
# Told apart also by most who confuse red and green (Okabe and Ito).
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8b5e3c")
_SHAPES = {False: "circle", True: "triangle"}  # by whether there are crops

Rows = Sequence[Mapping[str, Any]]


def render(rows: Rows, facts: Mapping[str, Any]) -> str:
  """The page as text.

  Args:
    rows: of `ensemble_tables.flat`.
    facts: how they came about: `gain`, `choice`, `data`, `num_choosing`,
      `num_judging`, `num_threads`, `settings`, `problems`, `machine`, `environment`,
      `command`.
  """
  heads, cells = shown(rows)
  return render_page(
    TEMPLATE,
    verdict=None,
    problems=[f"{name}: {why}" for name, why in facts["problems"].items()],
    environment=facts["environment"],
    lineage=lineage(facts),
    config=None,
    facts=facts,
    gain=facts["gain"],
    measures=[name for name, of in facts["gain"].items() if isinstance(of, Mapping)],
    choice=facts["choice"],
    num_taken=sum(step["taken"] for step in facts["choice"]),
    chosen=next(row for row in rows if row["chosen"]),
    figures=[
      (measure.lower(), f"{measure} against time; grey: what none beats in both", plot)
      for measure in ("AP", "AP50")
      if (plot := figure(rows, measure))
    ],
    legend=legend(rows),
    heads=heads,
    cells=cells,
  )


def figure(rows: Rows, measure: str) -> str:
  """Precision on the images that judge against seconds, a line a model."""
  known = [row for row in rows if row[measure] is not None]
  series = [
    Series(
      marks=tuple(
        Mark(
          x=row["seconds"],
          y=row[measure],
          text=f"{name}, {row['views']}: {row[measure]:.3f} in {row['seconds']:.2f} s",
          color=color,
          shape=_SHAPES[row["crops"] > 1],
        )
        for row in sorted(known, key=lambda row: row["seconds"])
        if row["name"] == name
      ),
      joined=True,
    )
    for name, color in _colours(rows).items()
  ]
  best = frontier(
    [
      {"name": index, "ms": row["seconds"], "value": row[measure]}
      for index, row in enumerate(known)
    ]
  )
  return chart(
    f"{measure} against time",
    series,
    x_label="seconds a picture",
    y_label=measure,
    log_x=True,
    frontier=[
      (known[int(index)]["seconds"], known[int(index)][measure]) for index in best
    ],
  )


def legend(rows: Rows) -> str:
  """What colours and shapes mean, as a list."""
  items = [(color, "circle", name) for name, color in _colours(rows).items()]
  if any(row["crops"] > 1 for row in rows):
    items.append((INK, "triangle", "with crops"))
  parts = (
    f"<li>{swatch(color, shape)}{escaped(name)}</li>" for color, shape, name in items
  )
  return f'<ul class="legend">{"".join(parts)}</ul>'


def _colours(rows: Rows) -> dict[str, str]:
  """By name, models in their order; the ensemble is dark."""
  names = list(dict.fromkeys(row["name"] for row in rows))
  models = [name for name in names if name != ENSEMBLE]
  found = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(models)}
  return {name: found.get(name, INK) for name in names}
