"""The elements that plots are made of, as text: lines, marks, words."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

LARGEST_FONT_PX = 15.0  # on a telephone: `.plot` in page.html.jinja

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
  """How a curve is drawn.

  Attributes:
    color: as CSS has it.
    width: pixels.
    dashes: lengths of dash and gap in turn, in widths of the line; none are solid.
    marked: with a mark on every point.
  """

  color: str
  width: float = 1.5
  dashes: tuple[float, ...] = ()
  marked: bool = False


def rule(start: Point, end: Point, color: str, dashes: str = "") -> str:
  """A thin straight line."""
  (x, y), (to_x, to_y) = start, end
  dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
  return (
    f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
    f'stroke="{color}"{dashed}/>'
  )


def words(at: Point, text: str, anchor: str = "middle", color: str = "") -> str:
  """A line of text; of another colour than the plot's, it is bold."""
  x, y = at
  bold = f' fill="{color}" font-weight="600"' if color else ""
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{bold}>{escaped(text)}</text>'
  )


def curve(points: Sequence[Point], style: Style) -> str:
  """Points joined by straight lines."""
  places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
  lengths = " ".join(f"{length * style.width:.1f}" for length in style.dashes)
  dashes = f' stroke-dasharray="{lengths}"' if lengths else ""
  return (
    f'<polyline points="{places}" fill="none" stroke="{style.color}" '
    f'stroke-width="{style.width:g}" stroke-linejoin="round"{dashes}/>'
  )


def marks(points: Sequence[Point], style: Style) -> str:
  """A disc on every point, as one path: a quarter of the bytes of circles."""
  # Lines of (almost) no length, of which the round ends are seen.
  places = "".join(f"M{x:.1f} {y:.1f}h.01" for x, y in points)
  return (
    f'<path d="{places}" fill="none" stroke="{style.color}" '
    f'stroke-width="{style.width + 3:g}" stroke-linecap="round"/>'
  )


def swatch(style: Style) -> str:
  """A short piece of a curve, for a legend or a table; its size is the page's."""
  ends = ((0.0, 5.0), (24.0, 5.0))
  dot = marks([(12.0, 5.0)], style) if style.marked else ""
  return (
    '<svg class="swatch" viewBox="0 0 24 10" aria-hidden="true">'
    f"{curve(ends, style)}{dot}</svg>"
  )


def text_px(text: str) -> float:
  """About the width of a text in the largest font that it is shown in."""
  em = 0.0
  for letter in text:
    if letter in " .,:;'|!ijlt()":
      em += 0.3
    elif letter.isupper() or letter in "mwMW…%@":
      em += 0.76
    else:
      em += 0.56  # as all digits
  return em * LARGEST_FONT_PX


def escaped(text: str) -> str:
  """Fit for an element and for an attribute in double quotes."""
  return html.escape(text, quote=True)
