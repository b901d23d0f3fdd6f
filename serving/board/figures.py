"""The board's plots: metrics over versions, curves, precision by size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hardmine.serving.board.comparison import is_number
from hardmine.serving.board.plots import Bar, Dot, Flag, Line, bar_plot, line_plot
from hardmine.serving.board.reading import Row
from hardmine.serving.board.wording import HEADLINE, metric
from hardmine.serving.pages.conventions import METRICS, STYLES, UNITS
from hardmine.serving.pages.pictures import ACCENT, INK, RIVAL
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP

BAD = "#b91c1c"
MAX_DOTS = 120  # more are a line
_SIZES = {"AP": "all", "AP_small": "small", "AP_medium": "medium", "AP_large": "large"}


def histories(kind: str, rows: Sequence[Row]) -> list[tuple[str, str]]:
  """Title and plot of each headline metric over the versions of a kind.

  Args:
    kind: `codec` or `detector`.
    rows: of this kind, oldest first.
  """
  return [
    (title, svg)
    for name, title in HEADLINE.get(kind, {}).items()
    if (svg := _history(kind, name, title, rows))
  ]


def curves(lines: Sequence[Line], metric_name: str) -> str:
  """A codec's curve beside others, as an `<svg>` element."""
  unit = UNITS[metric_name]
  return line_plot(
    f"{METRICS[metric_name]}{unit} over bits per pixel",
    list(reversed(lines)),  # the first one on top
    x_label="bits per pixel",
    x_range=(0.0, HIGHEST_BPP),
  )


def curve_lines(
  metrics: Mapping[str, Any],
  title: str,
  other: Mapping[str, Any] | None,
  other_title: str,
  metric_name: str,
) -> list[Line]:
  """This version's curve, the other's and those of the baselines, most telling first.

  Args:
    metrics: the `metrics.json` of this version.
    title: its name in the legend.
    other: that of the version to compare with.
    other_title: its name.
    metric_name: one of METRICS.
  """
  found = [_line("candidate", title, metrics.get("candidate"), metric_name)]
  if other is not None:
    one = _line("baseline_model", other_title, other.get("candidate"), metric_name)
    found.append(one)
  baselines = metrics.get("baselines")
  for key, one in baselines.items() if isinstance(baselines, dict) else ():
    name = one.get("title") if isinstance(one, dict) else None
    found.append(_line(key, str(name or key), one, metric_name))
  return [line for line in found if line is not None]


def sizes(
  numbers: Mapping[str, float], title: str, other: Mapping[str, float] | None
) -> str:
  """Average precision by the size of objects, as an `<svg>` element."""
  groups = [
    (
      name,
      [
        Bar(value=_precision(one.get(key)), color=color)
        for one, color in ((numbers, ACCENT), (other, RIVAL))
        if one is not None
      ],
    )
    for key, name in _SIZES.items()
  ]
  return bar_plot(f"AP by size of the object, {title}", groups)


def _history(kind: str, name: str, title: str, rows: Sequence[Row]) -> str:
  points = [
    (row, float(row.numbers[name]))
    for row in rows
    if is_number(row.numbers.get(name)) and (kind == "codec" or row.numbers[name] >= 0)
  ]
  shown = [
    (row, value) for row, value in points if row.aliases or len(points) <= MAX_DOTS
  ]
  flags = [
    Flag(x=row.number, y=value, text=alias, color=ACCENT)
    for row, value in points
    for alias in row.aliases
  ]
  dots = [
    Dot(
      x=row.number,
      y=value,
      text=f"version {row.number}: {metric(name, value)}",
      color=BAD if row.verdict is not None and not row.verdict.passed else ACCENT,
      href=f"version-{row.number}.html",
      filled=row.verdict is not None and row.verdict.passed,
    )
    for row, value in shown
  ]
  line = Line(
    title=title,
    points=tuple((row.number, value) for row, value in points),
    color=RIVAL,
    width=1.5,
  )
  return line_plot(
    f"{title} over versions",
    [line],
    x_label="version",
    dots=dots,
    flags=flags,
    whole_x=True,
  )


def _line(key: str, title: str, codec: Any, metric_name: str) -> Line | None:
  """The visible part of a codec's mean curve, None where it has none."""
  if not isinstance(codec, dict):
    return None
  columns = [codec.get("bpp"), codec.get(metric_name)]
  if not all(isinstance(column, list) for column in columns):
    return None
  points = sorted(
    (float(x), float(y)) for x, y in zip(*columns) if is_number(x) and is_number(y)
  )
  points = _up_to(points, HIGHEST_BPP)
  if not points:
    return None
  style = STYLES.get(key, {"color": INK})
  return Line(
    title=title,
    points=tuple(points),
    color=style["color"],
    width=style.get("linewidth", 1.5),
    dashes=tuple(style["linestyle"][1]) if "linestyle" in style else (),
  )


def _up_to(
  points: list[tuple[float, float]], limit: float
) -> list[tuple[float, float]]:
  """A curve cut at a rate, with the value it has there."""
  inside = [point for point in points if 0 <= point[0] <= limit]
  beyond = next((point for point in points if point[0] > limit), None)
  if inside and beyond and not math.isclose(inside[-1][0], limit):
    (x, y), (next_x, next_y) = inside[-1], beyond
    inside.append((limit, y + (next_y - y) * (limit - x) / (next_x - x)))
  return inside


def _precision(value: Any) -> float | None:
  return float(value) if is_number(value) and value >= 0 else None
