"""The results of a study as rows: for programs, for spreadsheets and for pages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hardmine.pipelines.studies.calibration import estimated_seconds
from hardmine.pipelines.studies.counting import CROP
from hardmine.pipelines.studies.sweep import Row
from hardmine.pipelines.studies.timing import PARTS

SIZES = ("AP_small", "AP_medium", "AP_large")
_PRECISIONS = ("AP", "AP50", "AP75", *SIZES)
_MIB = 1 << 20


def flat(
  rows: Sequence[Row], runtimes: Sequence[str], speeds: Mapping[str, float] | None
) -> list[dict[str, Any]]:
  """A plain row a combination, all with the same columns; None where nothing is known.

  `ms` is what figures are drawn with: of the first runtime, else the estimate; `value`
  likewise: AP where any row has one, else multiply-adds. `on_frontier` marks rows that
  none beats in both, where something was measured.

  Args:
    rows: what was counted and measured.
    runtimes: in the order of columns.
    speeds: of `calibration.measured_speeds`, for estimates.
  """
  found = [_flat(row, runtimes, speeds) for row in rows]
  by_precision = any(row["AP"] is not None for row in found)
  for row in found:
    row["value"] = row["AP"] if by_precision else row["multiply_adds"]
  if runtimes or by_precision:  # estimates are made of multiply-adds: nothing to weigh
    best = set(frontier(found))
    for row in found:
      row["on_frontier"] = row["name"] in best
  return found


def frontier(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  """Names of the rows of which none is as fast and has more `value`, fastest first."""
  known = [row for row in rows if None not in (row["ms"], row["value"])]
  names, best = [], float("-inf")
  for row in sorted(known, key=lambda row: (row["ms"], -row["value"])):
    if row["value"] > best:
      best = row["value"]
      names.append(row["name"])
  return names


def to_json(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
  """One object: how it was measured, and the rows."""
  return json.dumps({**facts, "rows": rows}, indent=2) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
  """A header and a line a row."""
  text = io.StringIO()
  writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()


def to_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
  """What most people look at first, for a page or an issue."""
  return markdown_table(*shown(rows))


def markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
  """A table whose columns but the first are numbers; bars in cells are escaped."""
  lines = [
    "| " + " | ".join(heads) + " |",
    "|---" + "|---:" * (len(heads) - 1) + "|",
    *("| " + " | ".join(map(_escaped, one)) + " |" for one in cells),
  ]
  return "\n".join(lines) + "\n"


def shown(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
  """Heads and cells of a table for people; columns that nobody filled are left out."""
  columns = {
    "combination": [row["name"] for row in rows],
    "parameters, millions": [number(row["parameters"], 1e6, 1) for row in rows],
    "multiply-adds, 10⁹": [number(row["multiply_adds"], 1e9, 2) for row in rows],
    "of crops, 10⁹": [number(row["crop_multiply_adds"], 1e9, 2) for row in rows],
    "ms, estimated": [number(row["estimated_ms"], 1, 0) for row in rows],
  }
  for name in rows[0] if rows else ():
    runtime, _, what = name.rpartition("__")
    title = {"ms": "ms", "network_ms": "ms without suppression", "peak_mib": "MiB"}
    if runtime and what in title:
      digits = 0 if what == "peak_mib" else 1
      columns[f"{title[what]}, {runtime}"] = [
        number(row[name], 1, digits) for row in rows
      ]
  for name in _PRECISIONS:
    columns[name] = [number(row[name], 1, 3) for row in rows]
  columns["on the frontier"] = ["yes" if row["on_frontier"] else "" for row in rows]
  columns["problem"] = [row["problem"] or "" for row in rows]
  filled = {head: cells for head, cells in columns.items() if any(cells)}
  return list(filled), [list(cells) for cells in zip(*filled.values())]


def number(value: float | None, unit: float, digits: int) -> str:
  """In a unit, with so many digits behind the point; nothing for None."""
  return "" if value is None else f"{value / unit:,.{digits}f}"


def _escaped(text: str) -> str:
  """As a cell of Markdown's tables."""
  return text.replace("|", "\\|")


def _flat(
  row: Row, runtimes: Sequence[str], speeds: Mapping[str, float] | None
) -> dict[str, Any]:
  one, cost = row.one, row.cost
  estimate = None
  if cost is not None and speeds is not None:
    estimate = round(1e3 * estimated_seconds(cost.by_kind(), speeds), 3)
  found: dict[str, Any] = {
    "name": one.name,
    "meta_architecture": one.meta_architecture,
    "feature_extractor": one.feature_extractor,
    "output_stride": one.output_stride,
    "resolution_px": one.resolution_px,
    "num_proposals": one.num_proposals,
    "width": one.config.width,
    "num_categories": one.num_categories,
    "top_1": one.top_1,
    "parameters": cost and cost.parameters,
    "multiply_adds": cost and cost.multiply_adds,
    "crop_multiply_adds": cost and cost.second_stage.get(CROP),
    "estimated_ms": estimate,
    "measured": bool(row.times),
    "ms": estimate if not runtimes else None,
  }
  for runtime in runtimes:
    times = row.times.get(runtime)
    found |= {f"{runtime}__{name}": value for name, value in _times(times).items()}
  if runtimes:
    found["ms"] = found[f"{runtimes[0]}__ms"]
  precision = row.precision or {}
  for name in _PRECISIONS:
    value = precision.get("summary", {}).get(name, -1)
    found[name] = value if value >= 0 else None
  found["evaluated_images"] = precision.get("num_images")
  found["on_frontier"] = False
  found["problem"] = "; ".join(row.problems) or None
  return found


def _times(times: Mapping[str, Any] | None) -> dict[str, Any]:
  """Milliseconds and mebibytes of what `timing.timed` gave."""

  def ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1e3 * seconds, 3)

  times = times or {}
  seconds = times.get("seconds", {})
  mib = {
    name: round(times[f"{name}_bytes"] / _MIB, 1) if times else None
    for name in ("peak", "idle")
  }
  return {
    "ms": ms(times.get("total_seconds")),
    "network_ms": ms(times.get("network_seconds")),
    **{f"{part}_ms": ms(seconds.get(part)) for part in PARTS},
    "peak_mib": mib["peak"],
    "idle_mib": mib["idle"],
    "repeats": times.get("num_repeats"),
  }
