"""Small plots, written as SVG by hand.

matplotlib takes tenths of a second for one, and a board may hold thousands; its letters
are outlines, and a page that is read on a telephone wants text. Colours and grid are
those of the reports' plots.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 480, 310
GRID, AXIS, TEXT = "#e8edf3", "#cbd5e1", "#475569"
FONT_PX = 12.5
_CHARACTER_PX = 7.0
_FLAG_ROWS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """Points to join, in the order of the legend."""

  title: str
  points: tuple[tuple[float, float], ...]
  color: str
  width: float = 1.5
  dashes: tuple[float, ...] = ()


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
class Bar:
  """One bar of a group; None draws the word `none`."""

  value: float | None
  color: str


def line_plot(
  label: str,
  lines: Sequence[Line],
  *,
  x_label: str,
  x_range: tuple[float, float] | None = None,
  dots: Sequence[Dot] = (),
  flags: Sequence[Flag] = (),
  whole_x: bool = False,
) -> str:
  """An `<svg>` element, empty where there is nothing to draw.

  Args:
    label: what it shows, for those who do not see it.
    lines: drawn in turn, the last one on top.
    x_label: below the axis.
    x_range: the points decide by default.
    dots: above the lines.
    flags: names above the plot.
    whole_x: only whole numbers are marked on the axis.
  """
  xs = [x for line in lines for x, _ in line.points] + [dot.x for dot in dots]
  ys = [y for line in lines for _, y in line.points] + [dot.y for dot in dots]
  if not ys:
    return ""
  low, high = _padded(min(ys), max(ys))
  x_low, x_high = x_range or (min(xs), max(xs))
  if x_low == x_high:
    x_low, x_high = x_low - 1, x_high + 1
  y_ticks, digits = _ticks(low, high)
  x_ticks, x_digits = _ticks(x_low, x_high, whole=whole_x)
  shown = [f"{tick:.{digits}f}" for tick in y_ticks]
  left = 12 + _CHARACTER_PX * max(map(len, shown))
  rows = _rows(flags, lambda x: _scale(x, x_low, x_high, left, WIDTH - 14))
  top = 12 + 16 * (1 + max((row for row, _ in rows.values()), default=-1))
  bottom = HEIGHT - 40

  def at(x: float, y: float) -> tuple[float, float]:
    return (
      _scale(x, x_low, x_high, left, WIDTH - 14),
      _scale(y, low, high, bottom, top + 4),
    )

  parts = []
  for tick, text in zip(y_ticks, shown):
    y = at(x_low, tick)[1]
    parts.append(_rule(left, y, WIDTH - 14, y, GRID))
    parts.append(_text(left - 7, y + 4, text, "end"))
  for tick in x_ticks:
    x, text = at(tick, low)[0], f"{tick:,.{x_digits}f}"
    parts.append(_rule(x, top + 4, x, bottom, GRID))
    inside = min(x, WIDTH - 2 - _CHARACTER_PX * len(text) / 2)
    parts.append(_text(inside, bottom + 17, text, "middle"))
  parts.append(_rule(left, bottom, WIDTH - 14, bottom, AXIS))
  parts.append(_text((left + WIDTH - 14) / 2, HEIGHT - 5, x_label, "middle"))
  for flag in flags:
    x, y = at(flag.x, flag.y)
    parts.append(_rule(x, top - 8, x, y, flag.color, ' stroke-dasharray="2 3"'))
  for line in lines:
    parts.append(_polyline([at(*point) for point in line.points], line))
  parts.extend(_dot(*at(dot.x, dot.y), dot) for dot in dots)
  for flag, (row, x) in rows.items():
    color = f' fill="{flag.color}" font-weight="600"'
    parts.append(_text(x, 13 + 16 * row, _short(flag.text), "middle", color))
  return _svg(label, parts)


def bar_plot(label: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
  """Groups of bars from 0, each with its number, as an `<svg>` element."""
  values = [bar.value for _, bars in groups for bar in bars if bar.value is not None]
  if not values:
    return ""
  high = max(0.1, 1.15 * max(values))
  ticks, digits = _ticks(0.0, high)
  left, right, top, bottom = 12 + _CHARACTER_PX * (digits + 2), WIDTH - 8, 12, 270
  parts = []
  for tick in ticks:
    y = _scale(tick, 0, high, bottom, top)
    parts.append(_rule(left, y, right, y, GRID))
    parts.append(_text(left - 7, y + 4, f"{tick:.{digits}f}", "end"))
  step = (right - left) / len(groups)
  for column, (name, bars) in enumerate(groups):
    width = 0.76 * step / max(1, len(bars))
    for rank, bar in enumerate(bars):
      x = left + step * (column + 0.12) + width * rank
      y = _scale(max(bar.value or 0.0, 0.0), 0, high, bottom, top)
      parts.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{0.94 * width:.1f}" '
        f'height="{bottom - y:.1f}" fill="{bar.color}"/>'
      )
      text = "none" if bar.value is None else f"{bar.value:.3f}"
      parts.append(_text(x + 0.47 * width, y - 5, text, "middle"))
    parts.append(_text(left + step * (column + 0.5), bottom + 18, name, "middle"))
  parts.append(_rule(left, bottom, right, bottom, AXIS))
  return _svg(label, parts)


def _svg(label: str, parts: list[str]) -> str:
  return (
    f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{_escaped(label)}" '
    f'font-size="{FONT_PX}" fill="{TEXT}">' + "".join(parts) + "</svg>"
  )


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
    f"{_escaped(text)}</text>"
  )


def _rule(x: float, y: float, to_x: float, to_y: float, color: str, more="") -> str:
  return (
    f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
    f'stroke="{color}"{more}/>'
  )


def _polyline(points: Sequence[tuple[float, float]], line: Line) -> str:
  text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
  scaled = " ".join(f"{length * line.width:.1f}" for length in line.dashes)
  dashes = f' stroke-dasharray="{scaled}"' if scaled else ""
  return (
    f'<polyline points="{text}" fill="none" stroke="{line.color}" '
    f'stroke-width="{line.width}" stroke-linejoin="round"{dashes}/>'
  )


def _dot(x: float, y: float, dot: Dot) -> str:
  inside = dot.color if dot.filled else "#fff"
  circle = (
    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{inside}" stroke="{dot.color}" '
    f'stroke-width="1.5"><title>{_escaped(dot.text)}</title></circle>'
  )
  if not dot.href:
    return circle
  # Not on the way of the tabulator key: the tables beside hold the same links.
  return f'<a href="{_escaped(dot.href)}" tabindex="-1">{circle}</a>'


def _rows(flags: Sequence[Flag], place) -> dict[Flag, tuple[int, float]]:
  """Row and x of the names that fit; of the others the line alone is drawn."""
  ends = [0.0] * _FLAG_ROWS
  found = {}
  for flag in sorted(flags, key=lambda flag: (flag.x, flag.text)):
    half = _CHARACTER_PX * len(_short(flag.text)) / 2 + 4
    x = min(max(place(flag.x), half), WIDTH - half)
    for row in range(_FLAG_ROWS):
      if ends[row] <= x - half:
        ends[row] = x + half
        found[flag] = (row, x)
        break
  return found


def _scale(value: float, low: float, high: float, start: float, end: float) -> float:
  return start + (end - start) * (value - low) / (high - low)


def _padded(low: float, high: float) -> tuple[float, float]:
  margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
  return low - margin, high + margin


def _ticks(low: float, high: float, whole: bool = False) -> tuple[list[float], int]:
  """About five round numbers between two, and how many decimals they need."""
  rough = (high - low) / 5
  power = 10.0 ** math.floor(math.log10(rough))
  step = next(power * f for f in (1, 2, 5, 10) if power * f >= 0.999 * rough)
  step = max(1.0, step) if whole else step
  first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
  digits = max(0, -math.floor(math.log10(step) + 1e-9))
  return [n * step for n in range(first, last + 1)], digits


def _short(text: str, limit: int = 24) -> str:
  return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(text: str) -> str:
  return html.escape(text, quote=True)
