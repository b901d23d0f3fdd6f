"""Writes what the documentation says of the study's costs, so that nobody types it.

    python -m hardmine.pipelines.studies.documentation docs/choose_a_detector.md

fills the part of the page between its two marks, and draws the pictures beside it. With
the folder of a study behind it that has measured times of all pairs, it fills the part
between the marks of these instead.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies import figures, tables
from hardmine.pipelines.studies.combinations import (
  EXTRACTORS,
  META_ARCHITECTURES,
  everything,
)
from hardmine.pipelines.studies.made_parts import alone, fill
from hardmine.pipelines.studies.sweep import counted
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically

BEGIN = "<!-- made by python -m hardmine.pipelines.studies.documentation -->"
BEGIN_TIMES = (
  "<!-- made by python -m hardmine.pipelines.studies.documentation PAGE STUDY -->"
)
_CHOICES = ("feature_extractor", "meta_architecture", "resolution_px", "num_proposals")
_COLUMNS = (
  ("ssd", 300, None),
  ("ssd", 600, None),
  ("rfcn", 300, 300),
  ("rfcn", 600, 300),
  ("faster_rcnn", 300, 10),
  ("faster_rcnn", 300, 300),
  ("faster_rcnn", 600, 300),
)


def main(path: str, study: str | None = None) -> None:
  """Rewrites a part of a page.

  Args:
    path: of the page.
    study: the folder of one that measured times; None writes what all pairs cost.

  Raises:
    ValueError: the page has no such part, or the study no time of a pair.
  """
  page = Path(path)
  if study is not None:
    table = json.loads(Path(study, "table.json").read_text("utf-8"))
    fill(page, BEGIN_TIMES, times(table))
    return
  rows = costs()
  fill(page, BEGIN, block(rows))
  for name, svg in pictures(rows).items():
    write_atomically(page.with_name(f"{page.stem}_{name}.svg"), svg)


def costs() -> list[dict[str, Any]]:
  """Rows of all combinations at width 1."""
  return tables.flat(counted(everything(), None), (), None)


def block(rows: Sequence[dict[str, Any]]) -> str:
  """Multiply-adds of all pairs, and the orders that follow from them."""
  known = {tuple(row[name] for name in _CHOICES): row for row in _coarse(rows)}

  def cost(extractor: str, column: tuple[str, int, int | None]) -> float:
    return known[(extractor, *column)]["multiply_adds"] / 1e9

  ranked = sorted(EXTRACTORS, key=lambda extractor: cost(extractor, _COLUMNS[-1]))
  heads = ["feature extractor", "top-1"] + [
    f"{figures.title(kind)}, {side} px" + (f", {num} proposals" if num else "")
    for kind, side, num in _COLUMNS
  ]
  lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
  for extractor in ranked:
    top_1 = known[(extractor, *_COLUMNS[0])]["top_1"]
    cells = [f"{cost(extractor, column):,.2f}" for column in _COLUMNS]
    lines.append(
      f"| {figures.title(extractor)} | {top_1 or ''} | " + " | ".join(cells) + " |"
    )
  lines += ["", "From least to most multiply-adds:", ""]
  for kind in META_ARCHITECTURES:
    column = next(one for one in reversed(_COLUMNS) if one[0] == kind)
    order = sorted(EXTRACTORS, key=lambda one: cost(one, column))
    names = ", ".join(map(figures.title, order))
    lines.append(f"* {figures.title(kind)} at {column[1]} px: {names}")
  for extractor in ranked:
    columns = [("ssd", 600, None), ("rfcn", 600, 300), ("faster_rcnn", 600, 300)]
    columns.sort(key=lambda column: cost(extractor, column))
    names = ", ".join(figures.title(column[0]) for column in columns)
    lines.append(f"* {figures.title(extractor)} at 600 px, 300 proposals: {names}")
  return "\n".join(lines) + "\n"


def times(table: Mapping[str, Any]) -> str:
  """Milliseconds of all pairs as a study's `table.json` has them, and their orders.

  Raises:
    ValueError: a pair was not measured.
  """
  (runtime,) = table["runtimes"]
  known = {
    (row["feature_extractor"], row["meta_architecture"]): row for row in table["rows"]
  }
  missing = [
    " on ".join(pair[::-1])
    for pair in itertools.product(EXTRACTORS, META_ARCHITECTURES)
    if not known.get(pair, {}).get("ms")
  ]
  require(not missing, "a study that measured every pair once", missing=missing)
  machine, words = table["machine"], table["environment"]
  sides = sorted({row["resolution_px"] for row in known.values()})
  kinds = sorted(META_ARCHITECTURES, key=lambda kind: known["mobilenet_v1", kind]["ms"])

  def ordered(names: Iterable[str], cost: Callable[[str], float]) -> str:
    return ", ".join(figures.title(name) for name in sorted(names, key=cost))

  heads = ["feature extractor"] + [figures.title(kind) for kind in kinds]
  lines = [
    f"{table['num_threads']} of {machine['num_processors']} processors "
    f"({machine['processor']}), {runtime} {words[runtime]}, "
    f"{' and '.join(map(str, sides))} px, 300 proposals, suppression included; in "
    "milliseconds, and thousands of millions of multiply-adds a second:",
    "",
    "| " + " | ".join(heads) + " |",
    "|---" + "|---:" * len(kinds) + "|",
  ]
  slowest = kinds[-1]
  for extractor in sorted(EXTRACTORS, key=lambda one: known[one, slowest]["ms"]):
    rows = [known[extractor, kind] for kind in kinds]
    cells = [
      f"{row['ms']:,.0f} ({row['multiply_adds'] / row['ms'] / 1e6:.0f})" for row in rows
    ]
    lines.append(f"| {figures.title(extractor)} | " + " | ".join(cells) + " |")
  lines += ["", "From fastest to slowest:", ""]
  for kind in kinds:
    order = ordered(EXTRACTORS, lambda one, kind=kind: known[one, kind]["ms"])
    lines.append(f"* {figures.title(kind)}: {order}")
  for extractor in EXTRACTORS:
    order = ordered(kinds, lambda one, name=extractor: known[name, one]["ms"])
    lines.append(f"* {figures.title(extractor)}: {order}")
  return "\n".join(lines) + "\n"


def pictures(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
  """Files of their own, by name."""
  rows = _coarse(rows)
  found = (
    figures.against_parameters(rows),
    figures.against(rows, "num_proposals", "number of proposals", "multiply_adds"),
  )
  return {name: _alone(plot, rows) for name, _, plot in found}


def _coarse(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Those with a position every 16 pixels, which all pairs have."""
  return [row for row in rows if row["output_stride"] != 8]


def _alone(plot: str, rows: Sequence[dict[str, Any]]) -> str:
  """A picture as a file, with a legend in it."""
  names = [figures.keys(rows, column) for column in _CHOICES[:2]]
  return alone(
    plot,
    [
      [(f'<g fill="{color}">{mark}</g>', name) for name, color, mark in entries]
      for entries in names
    ],
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
