"""Anchors: counts of the papers, and entries by hand."""

import numpy as np
import pytest

from hardmine.trainers.detection.geometry.anchors import (
  anchors_per_cell,
  ssd_anchors,
  ssd_cells,
)
from hardmine.trainers.detection.geometry.boxes import to_centers
from tests.trainers.detection.geometry import config

LOW = [(side, side) for side in (19, 10, 5, 3, 2, 1)]
HIGH = [(side, side) for side in (38, 19, 10, 5, 3, 2)]


@pytest.mark.parametrize(("maps", "expected"), [(LOW, 1917), (HIGH, 7326)])
def test_totals(maps, expected):
  anchors = ssd_anchors(maps, config())
  assert anchors.shape == (expected, 4)
  assert anchors.dtype == np.float32
  per_cell = anchors_per_cell(6, config())
  assert per_cell == [3, 6, 6, 6, 6, 6]
  cells = [rows * columns for rows, columns in maps]
  assert np.dot(cells, per_cell) == expected


def test_the_finest_map_has_a_small_square_and_two_oblongs():
  centers = np.asarray(to_centers(ssd_anchors(LOW, config())))
  root = np.sqrt(2)
  middle = 0.5 / 19
  expected = [  # y, x, height, width
    [middle, middle, 0.1, 0.1],
    [middle, middle, 0.2 / root, 0.2 * root],
    [middle, middle, 0.2 * root, 0.2 / root],
    [middle, 3 * middle, 0.1, 0.1],  # columns before rows
  ]
  np.testing.assert_allclose(centers[:4], expected, atol=1e-6)
  np.testing.assert_allclose(centers[19 * 3, :2], [3 * middle, middle], atol=1e-6)


def test_the_next_map_has_all_ratios_and_the_square_between_scales_last():
  second = np.asarray(to_centers(ssd_anchors(LOW, config())))[19 * 19 * 3 :]
  np.testing.assert_allclose(second[:6, :2], 0.05, atol=1e-6)
  np.testing.assert_allclose(
    second[:6, 2:],
    [
      [0.35, 0.35],
      [0.247487, 0.494975],
      [0.494975, 0.247487],
      [0.202073, 0.606218],
      [0.606218, 0.202073],
      [0.418330, 0.418330],  # sqrt(0.35 * 0.5)
    ],
    atol=1e-6,
  )
  np.testing.assert_allclose(second[6, :2], [0.05, 0.15], atol=1e-6)


def test_the_coarsest_map_reaches_beyond_the_image():
  last = ssd_anchors(LOW, config())[-1]
  side = np.sqrt(0.95)  # between 0.95 and 1
  np.testing.assert_allclose(
    last, [0.5 - side / 2] * 2 + [0.5 + side / 2] * 2, atol=1e-6
  )
  assert ssd_anchors(LOW, config()).min() < 0


def test_maps_of_any_shape_and_number():
  narrow = np.asarray(to_centers(ssd_anchors([(1, 2)], config())))
  assert len(narrow) == 6
  np.testing.assert_allclose(narrow[::3, :2], [[0.5, 0.25], [0.5, 0.75]])
  smaller = config(min_scale=0.1, aspect_ratios=(1.0, 2.0))
  assert anchors_per_cell(3, smaller) == [3, 3, 3]
  first = np.asarray(to_centers(ssd_anchors([(1, 1), (1, 1)], smaller)))[0]
  np.testing.assert_allclose(first, [0.5, 0.5, 0.05, 0.05], atol=1e-6)


@pytest.mark.parametrize("maps", [[], [(3, 0)]])
def test_refuses_maps_without_cells(maps):
  with pytest.raises(ValueError, match="at least one cell"):
    ssd_anchors(maps, config())


def test_cells_are_around_the_centres_of_their_anchors_and_cover_the_image():
  maps = [(4, 3), (1, 2)]
  cells, anchors = ssd_cells(maps, config()), ssd_anchors(maps, config())
  assert cells.dtype == np.float32
  np.testing.assert_allclose(
    np.asarray(to_centers(cells))[:, :2],
    np.asarray(to_centers(anchors))[:, :2],
    atol=1e-6,
  )
  np.testing.assert_allclose(cells[3], [0, 1 / 3, 1 / 4, 2 / 3], atol=1e-6)
  sizes = np.prod(cells[:, 2:] - cells[:, :2], axis=1)
  np.testing.assert_allclose(sizes.sum(), 3 + 6, rtol=1e-5)
