"""Points and curves of many detectors, on logarithmic axes where numbers ask for them.

A colour is a feature extractor, a shape a meta-architecture, as the study draws them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from hardmine.serving.pages import svg
from hardmine.serving.pages.axes import (
  HEIGHT,
  MOST_ROWS,
  RIGHT_PX,
  ROW_PX,
  Axes,
  Scale,
  Tick,
  columns_that_fit,
  left_px,
  padded,
  picture,
  round_numbers,
)
from hardmine.serving.pages.svg import Style, escaped, text_px, words

_TOP_PX = 14
_STEPS = ((1, 2, 5), (1, 3), (1,))  # of a decade, as many as there is room for
_MARK_PX = 4.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
  """A point, and what it is.

  Attributes:
    x: its place.
    y: likewise.
    text: told where a pointer rests on it.
    color: as CSS has it.
    shape: `circle`, `square` or `triangle`.
  """

  x: float
  y: float
  text: str
  color: str
  shape: str = "circle"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
  """Marks that belong together.

  Attributes:
    marks: of it.
    joined: by a line, in their order.
    dashed: that line.
  """

  marks: tuple[Mark, ...]
  joined: bool = False
  dashed: bool = False


def chart(
  label: str,
  series: Sequence[Series],
  *,
  x_label: str,
  y_label: str,
  log_x: bool = False,
  log_y: bool = False,
  frontier: Sequence[tuple[float, float]] = (),
) -> str:
  """An `<svg>` element, empty where there is nothing to draw.

  Args:
    label: what it shows, for those who do not see it.
    series: what is drawn.
    x_label: below the axis.
    y_label: above the axis.
    log_x: x is above 0, and each decade takes the same space.
    log_y: likewise.
    frontier: points that a thick line joins, behind the others.
  """
  marks = [mark for one in series for mark in one.marks]
  if not marks:
    return ""
  on_x, on_y = (math.log10 if log else float for log in (log_x, log_y))
  y_low, y_high = padded([on_y(mark.y) for mark in marks])
  x_low, x_high = padded([on_x(mark.x) for mark in marks])
  if not log_y and min(mark.y for mark in marks) >= 0:
    y_low = max(y_low, 0.0)
  scale = Scale(low=y_low, high=y_high, start=HEIGHT - 42, end=ROW_PX + _TOP_PX)
  rows = _log_ticks(scale, True) if log_y else round_numbers(y_low, y_high, MOST_ROWS)
  x = Scale(low=x_low, high=x_high, start=left_px(rows), end=RIGHT_PX)
  axes = Axes(x=x, y=scale)
  parts = [
    *axes.rows(rows),
    *axes.columns(_log_ticks(x, False) if log_x else columns_that_fit(x)),
    axes.floor(),
    words(((x.start + x.end) / 2, HEIGHT - 6), x_label),
  ]
  if len(frontier) > 1:
    places = [axes.at((on_x(one), on_y(other))) for one, other in frontier]
    parts.append(svg.curve(places, Style(color="#cbd5e1", width=7)))
  for one in series:
    places = [axes.at((on_x(mark.x), on_y(mark.y))) for mark in one.marks]
    if one.joined and len(places) > 1:
      style = Style(color=one.marks[0].color, dashes=(4, 3) if one.dashed else ())
      parts.append(svg.curve(places, style))
    parts.extend(_mark(place, mark) for place, mark in zip(places, one.marks))
  return picture(label, parts, y_label)


def key(shape: str, at: tuple[float, float] = (0.0, 0.0)) -> str:
  """A mark for a legend, in the colour that is around it."""
  return f"{_shape(at, shape)}/>"


def swatch(color: str, shape: str) -> str:
  """The same as a picture of its own, of the size that the page gives it."""
  return (
    '<svg class="swatch" viewBox="0 0 24 10" aria-hidden="true">'
    f'<g fill="{color}">{key(shape, (12.0, 5.0))}</g></svg>'
  )


def _mark(place: tuple[float, float], mark: Mark) -> str:
  return (
    f'{_shape(place, mark.shape)} fill="{mark.color}" fill-opacity="0.85" '
    f'stroke="#fff" stroke-width="0.7"><title>{escaped(mark.text)}</title>'
    f"</{'circle' if mark.shape == 'circle' else 'path'}>"
  )


def _shape(place: tuple[float, float], shape: str) -> str:
  """An element that is still open."""
  x, y = place
  r = _MARK_PX
  if shape == "circle":
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"'
  if shape == "square":
    path = f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h-{2 * r}z"
  else:
    path = f"M{x:.1f} {y - 1.2 * r:.1f}l{1.2 * r:.1f} {2.1 * r:.1f}h-{2.4 * r:.1f}z"
  return f'<path d="{path}"'


def _log_ticks(scale: Scale, upright: bool) -> list[Tick]:
  """Round numbers of a logarithmic axis, as many as there is room for."""
  ticks: list[Tick] = []
  for steps in _STEPS:
    ticks = [
      Tick(value=math.log10(step * 10.0**power), text=_text(step, power))
      for power in range(math.floor(scale.low), math.ceil(scale.high) + 1)
      for step in steps
      if scale.low <= math.log10(step * 10.0**power) <= scale.high
    ]
    places = [scale(tick.value) for tick in ticks]
    room = [
      abs(after - before)
      - (ROW_PX if upright else 8 + (text_px(one.text) + text_px(other.text)) / 2)
      for before, after, one, other in zip(places, places[1:], ticks, ticks[1:])
    ]
    if all(free >= 0 for free in room):
      break
  return ticks


def _text(step: int, power: int) -> str:
  value = step * 10.0**power
  return f"{value:,.{max(0, -power)}f}"
