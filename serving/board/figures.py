"""What the board's plots are made of: versions, and the metrics of one or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hardmine.serving.board.comparison import is_number
from hardmine.serving.board.reading import Row
from hardmine.serving.board.wording import HEADLINE, metric
from hardmine.serving.pages.conventions import ACCENT, BAD, OTHER, RIVAL, STYLES
from hardmine.serving.pages.figures import SIZES, size_bars
from hardmine.serving.pages.plots import Bars, Dot, Flag, Line, line_plot
from hardmine.serving.pages.svg import Style

MAX_DOTS = 120  # more are a line


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


def curves(
  metrics: Mapping[str, Any],
  title: str,
  rival: Mapping[str, Any] | None,
  rival_title: str,
  metric_name: str,
) -> list[Line]:
  """This codec's curve, the rival's and those of conventional codecs.

  Args:
    metrics: the `metrics.json` of this version.
    title: its name in the legend.
    rival: that of the version to compare with.
    rival_title: its name.
    metric_name: one of METRICS.
  """
  found = [_line("candidate", title, metrics.get("candidate"), metric_name)]
  if rival is not None:
    one = _line("baseline_model", rival_title, rival.get("candidate"), metric_name)
    found.append(one)
  conventional = metrics.get("baselines")
  for key, one in conventional.items() if isinstance(conventional, dict) else ():
    name = one.get("title") if isinstance(one, dict) else None
    found.append(_line(key, str(name or key), one, metric_name))
  return [line for line in found if line is not None]


def sizes(title: str, numbers: Mapping[str, Any], *, rival: bool = False) -> Bars:
  """A detector's precision by the size of objects; numbers of any form are taken."""
  usable = [name for name in SIZES if is_number(numbers.get(name))]
  known = {name: float(numbers[name]) for name in usable}
  return size_bars(title, known, rival=rival)


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
    style=Style(color=RIVAL),
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
  """A codec's mean curve, None where it has none."""
  if not isinstance(codec, dict):
    return None
  columns = [codec.get("bpp"), codec.get(metric_name)]
  if not all(isinstance(column, list) for column in columns):
    return None
  points = sorted(
    (float(x), float(y)) for x, y in zip(*columns) if is_number(x) and is_number(y)
  )
  if not points:
    return None
  return Line(title=title, points=tuple(points), style=STYLES.get(key, OTHER))
