"""Laws of plots: what lies where, what is whole, and what is the same."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardmine.serving.pages.axes import (
  HEIGHT,
  WIDTH,
  Scale,
  columns_that_fit,
  padded,
  round_numbers,
)
from hardmine.serving.pages.conventions import STYLES
from hardmine.serving.pages.figures import (
  precision_by_size,
  rate_distortion,
  size_bars,
)
from hardmine.serving.pages.plots import (
  Bars,
  Dot,
  Flag,
  Line,
  bar_plot,
  between,
  legend,
  line_plot,
)
from hardmine.serving.pages.svg import Style, text_px

EVIL = """"'><script>alert(1)</script>&amp;</svg>"""
PLAIN = Style(color="#000")
MARKED = Style(color="#000", marked=True)
VALUES = st.floats(-1e11, 1e11) | st.floats(-2, 2)
CUTS = st.tuples(st.integers(-99, 0), st.integers(1, 99))
CURVES = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=9).map(
  lambda points: tuple(sorted(dict(points).items()))
)


def line(points, title="it", style=PLAIN) -> Line:
  return Line(title=title, points=tuple(points), style=style)


def places(svg: str) -> list[list[tuple[float, float]]]:
  """The points of each curve, in pixels."""
  return [
    [tuple(map(float, place.split(","))) for place in curve.split()]
    for curve in re.findall('<polyline points="([^"]+)"', svg)
  ]


def discs(svg: str) -> list[tuple[float, float]]:
  return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", svg)]


def words(svg: str) -> dict[str, tuple[float, float]]:
  """Where each text stands."""
  return {
    element.text or "": (float(element.attrib["x"]), float(element.attrib["y"]))
    for element in ElementTree.fromstring(svg).iter("text")
  }


def frame(svg: str) -> tuple[float, float, float]:
  """Left, right and bottom: the ends of the line that the plot stands on."""
  (floor,) = re.findall(
    r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)"[^>]+stroke="#cbd5e1"', svg
  )
  return float(floor[0]), float(floor[2]), float(floor[1])


def test_points_land_where_the_numbers_on_the_axes_say():
  svg = line_plot(
    "it",
    [line([(0.1, 4.0), (0.2, 8.0), (0.5, 5.0)])],
    x_label="x",
    x_range=(0, 1),
    y_range=(0, 10),
  )
  ((_, at, _),) = places(svg)
  texts = words(svg)
  assert at[0] == texts["0.2"][0]
  assert at[1] == pytest.approx(texts["8"][1] - 4)  # the middle of its digits


@given(points=CURVES, cut=st.none() | CUTS)
def test_all_that_is_drawn_lies_in_the_frame(points, cut):
  svg = line_plot("it", [line(points, style=MARKED)], x_label="x", x_range=cut)
  if not svg:
    assert not between(points, cut)
    return
  left, right, bottom = frame(svg)
  assert 0 < left < right < WIDTH
  assert bottom < HEIGHT
  for x, y in [*places(svg)[0], *discs(svg)]:
    assert left - 0.11 <= x <= right + 0.11
    assert 10 <= y <= bottom + 0.11
  for text, (x, y) in words(svg).items():
    assert 0 < x < WIDTH, text
    assert 0 < y < HEIGHT, text


@pytest.mark.parametrize("values", [(0.0,), (1.7, 1.7), (-3.0, 1e11), (1e-9, 2e-9)])
def test_any_values_give_a_plot(values):
  (at,) = places(line_plot("it", [line(enumerate(values))], x_label="x"))
  assert len(at) == len(values)
  for x, y in at:
    assert 0 <= x <= WIDTH
    assert 0 <= y <= HEIGHT


def test_a_fixed_end_of_the_axis_holds_unless_a_point_lies_beyond():
  def top(value):
    points = [(0, 0.2), (1, value)]
    svg = line_plot("it", [line(points)], x_label="x", y_range=(0.0, 1.0))
    return places(svg)[0][1][1]

  assert top(0.5) > top(1.0) == top(1.5) > 0


def test_a_curve_is_cut_at_the_range_and_marked_at_its_own_points():
  points = [(0.0, 0.0), (1.0, 1.0), (3.0, 3.0)]
  assert between(points, (0.5, 2.0)) == [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0)]
  assert between(points, (1.5, 2.0)) == [(1.5, 1.5), (2.0, 2.0)]
  assert between(points, (4.0, 5.0)) == []
  assert between(points, None) == points
  svg = line_plot("it", [line(points, style=MARKED)], x_label="x", x_range=(0.5, 2.0))
  assert discs(svg) == [places(svg)[0][1]]


@given(CURVES, VALUES, VALUES)
def test_what_is_left_of_a_curve_is_in_order_and_has_its_points(points, low, high):
  low, high = min(low, high), max(low, high)
  part = between(points, (low, high))
  assert part == sorted(part, key=lambda point: point[0])
  assert {point for point in points if low <= point[0] <= high} <= set(part)
  assert all(low <= x <= high for x, _ in part)


@given(st.lists(VALUES, min_size=1), st.integers(2, 8))
@example([0.421875], 2)
def test_numbers_on_an_axis_are_round_few_and_in_range(values, most_steps):
  low, high = padded(values)
  assert low < min(values) <= max(values) < high
  ticks = round_numbers(low, high, most_steps)
  assert 1 <= len(ticks) <= most_steps + 1
  slack = 1e-6 * (high - low)
  assert all(low - slack <= tick.value <= high + slack for tick in ticks)
  assert len({tick.text for tick in ticks}) == len(ticks)
  for tick in ticks:
    shown = float(tick.text.replace(",", ""))
    assert shown == pytest.approx(tick.value, abs=slack)
  steps = [after.value - tick.value for tick, after in itertools.pairwise(ticks)]
  for step in steps:
    assert step == pytest.approx(steps[0], rel=1e-3)


@pytest.mark.parametrize(
  ("low", "high", "most_steps", "texts"),
  [
    (0, 2, 6, ["0.0", "0.5", "1.0", "1.5", "2.0"]),
    (0.84, 1.0, 8, [f"{n / 100:.2f}" for n in range(84, 101, 2)]),
    (900, 2100, 3, ["1,000", "1,500", "2,000"]),
    (-1, 1, 4, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
  ],
)
def test_round_numbers(low, high, most_steps, texts):
  assert [tick.text for tick in round_numbers(low, high, most_steps)] == texts


def test_versions_are_whole_numbers():
  scale = Scale(low=1, high=3, start=50, end=460)
  assert [tick.text for tick in columns_that_fit(scale, whole=True)] == ["1", "2", "3"]


@given(VALUES, VALUES)
def test_numbers_below_the_axis_do_not_overlap(low, high):
  low, high = padded([low, high])
  scale = Scale(low=low, high=high, start=40, end=WIDTH - 14)
  end = -99.0
  for tick in columns_that_fit(scale):
    half = text_px(tick.text) / 2
    middle = min(scale(tick.value), WIDTH - 2 - half)
    assert middle - half > end
    end = middle + half


@given(
  st.lists(st.tuples(st.integers(1, 40), st.text("abc-", max_size=30)), max_size=12)
)
def test_names_of_flags_do_not_overlap(names):
  flags = [Flag(x=x, y=1, text=f"{text}!", color="#123") for x, text in names]
  svg = line_plot("it", [line([(1, 1), (40, 1)])], x_label="x", flags=flags)
  boxes = [
    (float(y), float(x) - text_px(text) / 2, float(x) + text_px(text) / 2)
    for x, y, text in re.findall(
      r'<text x="([\d.]+)" y="([\d.]+)"[^>]*fill="#123"[^>]*>([^<]+)<', svg
    )
  ]
  for (y, _, end), (next_y, start, _) in itertools.pairwise(sorted(boxes)):
    assert y < next_y or end <= start
  assert svg.count('stroke="#123"') == len(flags)  # each has its line


def test_bars_stand_on_the_floor_and_are_as_high_as_their_numbers():
  series = [
    Bars(title="own", values=(0.8, None), color="#111"),
    Bars(title="rival", values=(0.4, 0.2), color="#222"),
  ]
  svg = bar_plot("it", ["all\n7 objects", "small\n1 object"], series, y_label="AP")
  bars = [
    [float(bar.attrib[name]) for name in ("x", "y", "width", "height")]
    for bar in ElementTree.fromstring(svg).iter("rect")
  ]
  heights = [height for *_, height in bars]
  assert heights == pytest.approx([heights[0], heights[0] / 2, 0, heights[0] / 4], 0.01)
  _, right, bottom = frame(svg)
  for (x, y, width, height), after in zip(bars, [*bars[1:], [right]]):
    assert y + height == pytest.approx(bottom, abs=0.11)
    assert x + width < after[0]
  assert {"0.800", "0.400", "none", "0.200", "all", "7 objects"} <= set(words(svg))


def test_numbers_of_two_detectors_fit_above_and_below_their_bars():
  numbers = {"AP": 0.888, "AP_small": 0.4, "AP_medium": -1.0, "AP_large": 1.0}
  bars = [size_bars("own", numbers), size_bars("rival", numbers, rival=True)]
  svg = precision_by_size(bars, (88_888, 88_888, 88_888, 88_888))
  rows: dict[float, list[tuple[float, float]]] = {}
  for element in ElementTree.fromstring(svg).iter("text"):
    if element.attrib["text-anchor"] == "middle":
      half = text_px(element.text or "") / 2
      x = float(element.attrib["x"])
      rows.setdefault(float(element.attrib["y"]), []).append((x - half, x + half))
  for row in rows.values():
    for (_, end), (start, _) in itertools.pairwise(sorted(row)):
      assert end < start


def test_the_first_curve_is_on_top_and_first_in_the_legend():
  lines = [line([(0, 0), (1, 1)], "first"), line([(0, 1), (1, 0)], "second")]
  svg = line_plot("it", lines, x_label="x")
  assert [at[0][1] < at[1][1] for at in places(svg)] == [True, False]
  names = legend(lines)
  assert names.index("first") < names.index("second")
  assert legend([]) == ""


def test_equal_numbers_give_equal_bytes_and_no_ids():
  def page():
    curve = [(rate / 8, 1 - 1 / rate) for rate in range(1, 30)]
    lines = [line(curve, key, style) for key, style in STYLES.items()]
    plots = [rate_distortion(lines, name) for name in ("ms_ssim", "psnr")]
    return "".join([*plots, legend(lines)])

  assert page() == page()
  assert not re.search(r"\bid=|url\(|href", page())


def test_names_cannot_inject_markup():
  svg = line_plot(
    EVIL,
    [line([(0, 0), (1, 1)], EVIL)],
    x_label=EVIL,
    y_label=EVIL,
    dots=[Dot(x=0, y=0, text=EVIL, color="#000", href=EVIL)],
    flags=[Flag(x=0, y=0, text=EVIL, color="#000")],
  )
  bars = [Bars(title=EVIL, values=(1.0,), color="#000")]
  for text in (svg, bar_plot(EVIL, [EVIL], bars, y_label=EVIL), legend(bars)):
    whole = ElementTree.fromstring(text)
    assert "<script" not in text
    assert EVIL in [*whole.itertext(), whole.attrib.get("aria-label")]


def test_nothing_to_draw_gives_nothing():
  assert line_plot("it", [], x_label="x") == ""
  assert line_plot("it", [line([])], x_label="x") == ""
  assert line_plot("it", [line([(3, 1)])], x_label="x", x_range=(0, 2)) == ""
  assert bar_plot("it", [], []) == ""
  assert bar_plot("it", ["a"], [Bars(title="b", values=(None,), color="#000")]) == ""
