"""The study as one page that fetches nothing; its script moves the sliders."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.components.codec_evaluator.figures import curves
from hardmine.pipelines.studies.made_parts import alone
from hardmine.pipelines.studies.rate_distortion import height_picture, published
from hardmine.pipelines.studies.rate_distortion.comparisons import Comparison, View
from hardmine.pipelines.studies.rate_distortion.results import percent, points
from hardmine.pipelines.studies.rate_distortion.sweep import Measured
from hardmine.pipelines.studies.records import lineage
from hardmine.serving.pages import svg
from hardmine.serving.pages.conventions import ACCENT, METRICS, OTHER, STYLES, UNITS
from hardmine.serving.pages.figures import rate_distortion
from hardmine.serving.pages.plots import Line, legend
from hardmine.serving.pages.shell import render_page
from hardmine.serving.pages.svg import Style, swatch

TEMPLATE = Path(__file__).with_name("study.html.jinja")
_MODEL_COLOURS = (ACCENT, "#be185d", "#0f172a", "#0891b2", "#65a30d", "#9333ea")
_MOST_PROBLEMS = 10
_NARROWEST_PX = 500  # smaller pictures are enlarged by whole numbers, up to this


def render(
  measured: Sequence[Measured],
  rows: Sequence[Mapping[str, Any]],
  comparisons: Sequence[Comparison],
  problems: Sequence[str],
  facts: Mapping[str, Any],
) -> str:
  """The page as text.

  Args:
    measured: curves, models first.
    rows: of `results.flat`, in the same order.
    comparisons: pictures side by side.
    problems: what went wrong, in sentences.
    facts: how all of it came about: `reference_title`, `num_images`, `machine`,
      `environment`, `command`.
  """
  styles = _styles(measured)
  shown = [_plain(one) for one in comparisons]
  shown_problems = [*problems[:_MOST_PROBLEMS]]
  if len(problems) > _MOST_PROBLEMS:
    shown_problems.append(
      f"and {len(problems) - _MOST_PROBLEMS} more, see `problems` in table.json"
    )
  return render_page(
    TEMPLATE,
    verdict=None,
    problems=shown_problems,
    environment=facts["environment"],
    lineage=lineage(facts),
    config=None,
    facts=facts,
    rows=[_row(row, styles) for row in rows],
    metric_titles=METRICS,
    best={name: _best(rows, name) for name in METRICS},
    legend=legend(_lines(measured, "ms_ssim", styles)),
    figures=[
      (name, title + UNITS[name], rate_distortion(_lines(measured, name, styles), name))
      for name, title in METRICS.items()
    ],
    comparisons=[{**one, "maps": None} for one in shown],
    maps=[(one["name"], one["maps"]) for one in shown if one["maps"]],
    map_legend=height_picture.legend(height_picture.MOST_DRAWN),
    papers=[
      (title, published.cells(of_table)) for title, of_table in published.TABLES.items()
    ],
    papers_how=published.HOW,
    oddities=published.ODDITIES,
    points=list(points(measured)),
    titles={one.measurement.key: one.measurement.title for one in measured},
  )


def figure_files(measured: Sequence[Measured]) -> dict[str, str]:
  """The curves as SVG files, by name."""
  styles = _styles(measured)
  found = {}
  for name in METRICS:
    lines = _lines(measured, name, styles)
    entries = [(_key(line.style), line.title) for line in lines]
    found[f"{name}.svg"] = alone(rate_distortion(lines, name), _columns(entries))
  return found


def _columns(entries: Sequence[Any]) -> list[Sequence[Any]]:
  half = -(-len(entries) // 2)
  return [entries[:half], entries[half:]] if entries else []


def _key(style: Style) -> str:
  """What `swatch` shows, around the origin."""
  dot = svg.marks([(-2.0, 0.0)], style) if style.marked else ""
  return svg.curve([(-12.0, 0.0), (8.0, 0.0)], style) + dot


def _styles(measured: Sequence[Measured]) -> dict[str, Style]:
  """Of a page's curves: models are the thick ones."""
  models = [one.measurement.key for one in measured if one.is_model]
  return {
    **STYLES,
    **{
      key: Style(
        color=_MODEL_COLOURS[index % len(_MODEL_COLOURS)], width=2.6, marked=True
      )
      for index, key in enumerate(models)
    },
  }


def _lines(
  measured: Sequence[Measured], metric: str, styles: Mapping[str, Style]
) -> list[Line]:
  of = [one.measurement for one in measured]
  return curves(of, metric, files=True, styles=styles)


def _row(row: Mapping[str, Any], styles: Mapping[str, Style]) -> dict[str, Any]:
  saved = {name: percent(row[f"{name}_bd_rate"]) for name in METRICS}
  style = styles.get(row["key"], OTHER)
  return {**row, "saved": saved, "swatch": swatch(style)}


def _best(rows: Sequence[Mapping[str, Any]], metric: str) -> float | None:
  known = [row[f"{metric}_area"] for row in rows]
  return max((area for area in known if area is not None), default=None)


def _plain(comparison: Comparison) -> dict[str, Any]:
  """For the page's script."""
  rates = [
    {"bpp": bpp, "views": [_for_script(view) for view in views]}
    for bpp, views in comparison.views.items()
  ]
  return {
    "name": comparison.name,
    "size": f"{comparison.width_px} × {comparison.height_px}",
    "shown": f"{comparison.shown_px[1]} × {comparison.shown_px[0]}",
    "is_whole": comparison.shown_px == (comparison.height_px, comparison.width_px),
    "scale": max(1, _NARROWEST_PX // comparison.shown_px[1]),
    "width_px": comparison.shown_px[1],
    "height_px": comparison.shown_px[0],
    "original": comparison.original,
    "rates": rates,
    "maps": [
      (view, bpp)
      for bpp, views in comparison.views.items()
      for view in views
      if view.map_uri
    ],
  }


def _for_script(view: View) -> dict[str, Any]:
  plain = dataclasses.asdict(view)
  del plain["map_uri"]  # which the page itself shows
  return plain
