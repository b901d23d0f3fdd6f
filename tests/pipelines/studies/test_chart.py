"""Laws of charts: what lies where, on axes that are logarithms or not."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardmine.pipelines.studies.chart import Mark, Series, chart
from hardmine.serving.pages.axes import HEIGHT, WIDTH

EVIL = """"'><script>alert(1)</script>&"""
VALUES = st.floats(1e-3, 1e7)
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=9)
AXES = {"x_label": "x", "y_label": "y"}


def series(points, **options):
  return Series(
    marks=tuple(Mark(x=x, y=y, text=f"{x}", color="#000") for x, y in points), **options
  )


def circles(svg):
  found = re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', svg)
  return [(float(x), float(y)) for x, y in found]


def test_nothing_to_draw_is_nothing():
  assert chart("it", [Series(marks=())], **AXES) == ""


@given(
  st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=9),
  st.booleans(),
  st.booleans(),
)
def test_all_lies_inside_and_in_order(points, log_x, log_y):
  svg = chart("it", [series(points)], log_x=log_x, log_y=log_y, **AXES)
  ElementTree.fromstring(svg)
  places = circles(svg)
  assert len(places) == len(points)
  assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
  for (x, y), (at_x, at_y) in zip(points, places):
    for (other_x, other_y), (beside, above) in zip(points, places):
      assert (x < other_x) <= (at_x <= beside)
      assert (y < other_y) <= (at_y >= above)


def test_equal_ratios_take_equal_space():
  points = [(1, 10), (10, 100), (100, 1000)]
  places = circles(chart("it", [series(points)], log_x=True, log_y=True, **AXES))
  (x0, y0), (x1, y1), (x2, y2) = places
  assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
  assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_words_of_users_are_no_markup():
  mark = Mark(x=1, y=1, text=EVIL, color="#000", shape="triangle")
  svg = chart(EVIL, [Series(marks=(mark,))], **AXES)
  root = ElementTree.fromstring(svg)
  assert root.attrib["aria-label"] == EVIL
  assert EVIL in [one.text for one in root.iter("title")]


def test_numbers_on_an_axis_do_not_touch():
  points = [(10.0**n, 10.0**n) for n in range(-3, 8)]
  svg = chart("it", [series(points)], log_x=True, log_y=True, **AXES)
  below = [
    float(one.attrib["x"])
    for one in ElementTree.fromstring(svg).iter("text")
    if math.isclose(float(one.attrib["y"]), HEIGHT - 42 + 17)
  ]
  assert len(below) > 2
  assert min(b - a for a, b in zip(below, below[1:])) > 20  # noqa: RUF007
