"""Scales, round numbers on them, and the grid of a plot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from hardmine.serving.pages.svg import Point, escaped, rule, text_px, words

WIDTH, HEIGHT = 480, 310
RIGHT_PX = WIDTH - 14
ROW_PX = 17  # from one line of text to the next
GRID, AXIS = "#e8edf3", "#cbd5e1"
MOST_ROWS, MOST_COLUMNS = 8, 6  # steps between round numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tick:
  """A round number on an axis."""

  value: float
  text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
  """From values in [low, high] to pixels in [start, end]; low < high."""

  low: float
  high: float
  start: float
  end: float

  def __call__(self, value: float) -> float:
    """The place of a value."""
    share = (value - self.low) / (self.high - self.low)
    return self.start + (self.end - self.start) * share


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axes:
  """Where values lie in a plot: x from the left, y from the bottom up."""

  x: Scale
  y: Scale

  def at(self, point: Point) -> Point:
    """The place of a point in pixels from the top left."""
    return self.x(point[0]), self.y(point[1])

  def rows(self, ticks: Sequence[Tick]) -> list[str]:
    """A line across the plot for each round y."""
    parts = []
    for tick in ticks:
      y = self.y(tick.value)
      parts.append(rule((self.x.start, y), (self.x.end, y), GRID))
      parts.append(words((self.x.start - 9, y + 4), tick.text, "end"))
    return parts

  def columns(self, ticks: Sequence[Tick]) -> list[str]:
    """A line up the plot for each round x."""
    parts = []
    for tick in ticks:
      x = self.x(tick.value)
      parts.append(rule((x, self.y.end), (x, self.y.start), GRID))
      inside = min(x, WIDTH - 2 - text_px(tick.text) / 2)
      parts.append(words((inside, self.y.start + ROW_PX), tick.text))
    return parts

  def floor(self) -> str:
    """The line that the plot stands on."""
    bottom = self.y.start
    return rule((self.x.start, bottom), (self.x.end, bottom), AXIS)


def round_numbers(
  low: float, high: float, most_steps: int, whole: bool = False
) -> list[Tick]:
  """Multiples of 1, 2 or 5 times a power of ten.

  Args:
    low: the least that may be among them.
    high: the most, above `low`.
    most_steps: there is at most one more of them.
    whole: none with a fraction.
  """
  rough = (high - low) / most_steps
  power = 10.0 ** math.floor(math.log10(rough))
  finer, step = next(
    (power * before, power * f)
    for before, f in ((0.5, 1), (1, 2), (2, 5), (5, 10))
    if power * f >= 0.999 * rough
  )
  if not _multiples(low, high, step):  # an axis of one or two steps may lie between two
    step = finer
  step = max(1.0, step) if whole else step
  digits = max(0, -math.floor(math.log10(step) + 1e-9))
  return [
    Tick(value=n * step, text=f"{n * step:,.{digits}f}")
    for n in _multiples(low, high, step)
  ]


def _multiples(low: float, high: float, step: float) -> range:
  return range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)


def columns_that_fit(scale: Scale, whole: bool = False) -> list[Tick]:
  """As many round numbers as stand side by side below the axis."""
  ticks: list[Tick] = []
  for most_steps in range(MOST_COLUMNS, 0, -1):
    ticks = round_numbers(scale.low, scale.high, most_steps, whole)
    if len(ticks) < 2:
      break
    apart = scale(ticks[1].value) - scale(ticks[0].value)
    # Half of the last one moves to the left where it would leave the picture.
    if apart >= 8 + 1.5 * max(text_px(tick.text) for tick in ticks):
      break
  return ticks


def left_px(ticks: Sequence[Tick]) -> float:
  """Where a plot begins that has these numbers on its left."""
  return 12 + max((text_px(tick.text) for tick in ticks), default=0.0)


def padded(values: Sequence[float]) -> tuple[float, float]:
  """A range with some space below and above the values; never empty."""
  low, high = min(values), max(values)
  if apart(low, high):
    margin = 0.06 * (high - low)
  else:
    margin = 0.05 * max(abs(low), abs(high))
    margin = margin if apart(low - margin, high + margin) else 0.05
  return low - margin, high + margin


def apart(low: float, high: float) -> bool:
  """Whether numbers of a readable length tell one from the other."""
  return high - low > max(1e-12, 1e-9 * max(abs(low), abs(high)))


def picture(label: str, parts: Sequence[str], y_label: str = "") -> str:
  """The `<svg>` element around a plot's parts; its font is that of the page."""
  above = words((2, 13), y_label, "start") if y_label else ""
  return (
    f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
    f'aria-label="{escaped(label)}">{above}{"".join(parts)}</svg>'
  )
