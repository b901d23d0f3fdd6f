"""Small plots as SVG text: curves and bars, for reports and for boards.

Written by hand, since a board may hold thousands, and a page that is read on a
telephone wants letters that are text. There are no ids, so that any number of plots
share a page, and equal numbers give equal bytes. The style of the text is the page's.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from hardmine.serving.pages import svg
from hardmine.serving.pages.axes import (
  HEIGHT,
  MOST_ROWS,
  RIGHT_PX,
  ROW_PX,
  WIDTH,
  Axes,
  Scale,
  apart,
  columns_that_fit,
  left_px,
  padded,
  picture,
  round_numbers,
)
from hardmine.serving.pages.svg import Point, Style, escaped, text_px, words

_TOP_PX = 14
_FLAG_ROWS = 4
_BAR_SHARE = 0.76  # of a group's width; the rest parts it from the next

YRange = tuple[float | None, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """A curve: finite points of rising x, and its name in the legend."""

  title: str
  points: tuple[Point, ...]
  style: Style


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dot:
  """A point that says what it is; a hollow one failed."""

  x: float
  y: float
  text: str
  color: str
  href: str = ""
  filled: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flag:
  """A name above the plot, with a line down to a point."""

  x: float
  y: float
  text: str
  color: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bars:
  """A bar in each group, and their name in the legend; None draws the word `none`."""

  title: str
  values: tuple[float | None, ...]
  color: str

  @property
  def style(self) -> Style:
    """That of the legend."""
    return Style(color=self.color, width=9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Name:
  """A flag's name as text, and where the next row begins, in pixels from the top."""

  svg: str
  below: float


def line_plot(
  label: str,
  lines: Sequence[Line],
  *,
  x_label: str,
  y_label: str = "",
  x_range: tuple[float, float] | None = None,
  y_range: YRange = (None, None),
  dots: Sequence[Dot] = (),
  flags: Sequence[Flag] = (),
  whole_x: bool = False,
) -> str:
  """An `<svg>` element, empty where there is nothing to draw.

  Args:
    label: what it shows, for those who do not see it.
    lines: in the order of the legend, the first one on top.
    x_label: below the axis.
    y_label: above the axis.
    x_range: where the lines are cut; the points decide by default.
    y_range: where the axis ends, unless a point lies beyond; with None the points
      decide.
    dots: above the lines, within `x_range`.
    flags: names above the plot, of points of the lines.
    whole_x: only whole numbers are marked on the axis.
  """
  paths = [between(line.points, x_range) for line in lines]
  points = [point for path in paths for point in path]
  points.extend((dot.x, dot.y) for dot in dots)
  if not points:
    return ""
  low, high = _y_range([y for _, y in points], y_range)
  x_low, x_high = x_range or _x_range([x for x, _ in points])
  rows = round_numbers(low, high, MOST_ROWS)
  x = Scale(low=x_low, high=x_high, start=left_px(rows), end=RIGHT_PX)
  names = _names(flags, x, ROW_PX if y_label else 0)
  top = max([ROW_PX if y_label else 0, *(name.below for name in names)]) + _TOP_PX
  axes = Axes(x=x, y=Scale(low=low, high=high, start=HEIGHT - 42, end=top))
  parts = [
    *axes.rows(rows),
    *axes.columns(columns_that_fit(x, whole_x)),
    axes.floor(),
    words(((x.start + x.end) / 2, HEIGHT - 6), x_label),
    *(_pole(flag, axes) for flag in flags),
  ]
  for line, path in reversed(list(zip(lines, paths))):
    parts.extend(_line(line, path, axes))
  parts.extend(_dot(axes.at((dot.x, dot.y)), dot) for dot in dots)
  parts.extend(name.svg for name in names)
  return picture(label, parts, y_label)


def bar_plot(
  label: str, groups: Sequence[str], series: Sequence[Bars], *, y_label: str = ""
) -> str:
  """Groups of bars from 0, each with its number: an `<svg>` element, or nothing.

  Args:
    label: what it shows, for those who do not see it.
    groups: their names, of one line or two.
    series: each with a value a group, in [0, 1] or so; a negative one has no height.
    y_label: above the axis.
  """
  values = [value for one in series for value in one.values if value is not None]
  if not values:
    return ""
  high = max(0.1, 1.1 * max(values))
  rows = round_numbers(0.0, high, MOST_ROWS)
  num_lines = max(name.count("\n") for name in groups) + 1
  axes = Axes(
    x=Scale(low=0, high=len(groups), start=left_px(rows), end=RIGHT_PX),
    y=Scale(
      low=0.0,
      high=high,
      start=HEIGHT - 8 - ROW_PX * num_lines,
      end=_TOP_PX + (ROW_PX if y_label else 0),
    ),
  )
  parts = axes.rows(rows)
  for column, name in enumerate(groups):
    parts.extend(_bars(column, series, axes))
    for row, text in enumerate(name.split("\n"), start=1):
      place = (axes.x(column + 0.5), axes.y.start + ROW_PX * row)
      parts.append(words(place, text))
  parts.append(axes.floor())
  return picture(label, parts, y_label)


def legend(entries: Sequence[Line | Bars]) -> str:
  """Names beside pieces of their curves, as a list that a page may break anywhere."""
  items = (f"<li>{svg.swatch(one.style)}{escaped(one.title)}</li>" for one in entries)
  return f'<ul class="legend">{"".join(items)}</ul>' if entries else ""


def between(
  points: Sequence[Point], x_range: tuple[float, float] | None
) -> list[Point]:
  """The part of a curve between two x, with the values that it has there."""
  if x_range is None:
    return list(points)
  low, high = x_range
  found = [point for point in points if low <= point[0] <= high]
  for (x, y), (next_x, next_y) in itertools.pairwise(points):
    found += [
      (end, y + (next_y - y) * (end - x) / (next_x - x))
      for end in x_range
      if x < end < next_x
    ]
  return sorted(found, key=lambda point: point[0])


def _y_range(values: Sequence[float], asked: YRange) -> tuple[float, float]:
  low, high = padded(values)
  low = low if asked[0] is None else min(asked[0], *values)
  high = high if asked[1] is None else max(asked[1], *values)
  return low, high


def _x_range(values: Sequence[float]) -> tuple[float, float]:
  low, high = min(values), max(values)
  return (low, high) if apart(low, high) else (low - 1, high + 1)


def _line(line: Line, path: Sequence[Point], axes: Axes) -> list[str]:
  if not path:
    return []
  parts = [svg.curve([axes.at(point) for point in path], line.style)]
  if line.style.marked:  # no mark where the curve was merely cut
    own = [axes.at(point) for point in path if point in line.points]
    parts.append(svg.marks(own, line.style))
  return parts


def _bars(column: int, series: Sequence[Bars], axes: Axes) -> list[str]:
  """The bars of one group, each with its number above."""
  parts = []
  width = _BAR_SHARE / len(series)
  width_px = axes.x(width) - axes.x(0)
  for rank, one in enumerate(series):
    value = one.values[column]
    left = axes.x(column + (1 - _BAR_SHARE) / 2 + width * rank)
    top = axes.y(max(value or 0.0, 0.0))
    parts.append(
      f'<rect x="{left:.1f}" y="{top:.1f}" width="{0.94 * width_px:.1f}" '
      f'height="{axes.y.start - top:.1f}" fill="{one.color}"/>'
    )
    text = "none" if value is None else f"{value:.3f}"
    parts.append(words((left + 0.47 * width_px, top - 5), text))
  return parts


def _dot(place: Point, dot: Dot) -> str:
  inside = dot.color if dot.filled else "#fff"
  circle = (
    f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="4" fill="{inside}" '
    f'stroke="{dot.color}" stroke-width="1.5"><title>{escaped(dot.text)}</title>'
    "</circle>"
  )
  if not dot.href:
    return circle
  # Not on the way of the tabulator key: the tables beside hold the same links.
  return f'<a href="{escaped(dot.href)}" tabindex="-1">{circle}</a>'


def _pole(flag: Flag, axes: Axes) -> str:
  x, y = axes.at((flag.x, flag.y))
  return svg.rule((x, axes.y.end - 10), (x, y), flag.color, "2 3")


def _names(flags: Sequence[Flag], x: Scale, above: float) -> list[_Name]:
  """The names that fit into a few rows; of the others the line alone is drawn."""
  ends = [0.0] * _FLAG_ROWS
  found = []
  for flag in sorted(flags, key=lambda flag: (flag.x, flag.text)):
    text = flag.text if len(flag.text) <= 24 else flag.text[:23] + "…"
    half = text_px(text) / 2 + 4
    middle = min(max(x(flag.x), half), WIDTH - half)
    row = next((row for row, end in enumerate(ends) if end <= middle - half), None)
    if row is None:
      continue
    ends[row] = middle + half
    place = (middle, above + ROW_PX * row + 13)
    found.append(
      _Name(svg=words(place, text, color=flag.color), below=above + ROW_PX * (row + 1))
    )
  return found
