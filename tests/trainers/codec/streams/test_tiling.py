"""Tiles of large pictures: where they lie, and how they become one picture again."""

from __future__ import annotations

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from hardmine.trainers.codec.streams import rates, tiling
from hardmine.trainers.codec.streams.tiling import (
  Grid,
  Spans,
  Splitting,
  Tiling,
  assemble,
)

TILINGS = st.builds(
  lambda blocks, share: Tiling(
    tile_px=32 * blocks, overlap_px=min(254, 2 * int(share * 8 * blocks))
  ),
  st.integers(1, 40),
  st.floats(0, 1),
)


@hypothesis.given(length_px=st.integers(1, 5000), how=TILINGS)
def test_spans_cover_a_side_and_neighbours_share_the_overlap(length_px, how):
  spans = Spans.along(length_px, how)
  found = list(spans)
  assert len(found) == spans.num_tiles
  assert (found[0].start, found[-1].stop) == (0, length_px)
  sides = [span.stop - span.start for span in found]
  assert max(sides) <= how.tile_px
  for first, second in itertools.pairwise(found):
    assert first.stop - second.start == how.overlap_px
  if len(found) > 1:
    assert set(sides[:-1]) == {spans.side_px}
    assert spans.side_px % 32 == 0
    assert sides[-1] > how.overlap_px  # each tile adds something
  for padding_px in (16, 32):
    padded = sum(-(-side // padding_px) * padding_px for side in sides)
    assert spans.padded_px(padding_px) == padded


@hypothesis.given(
  height_px=st.integers(1, 200), width_px=st.integers(1, 200), how=TILINGS
)
@hypothesis.settings(deadline=None)
def test_equal_tiles_give_the_picture_they_were_cut_from(height_px, width_px, how):
  grid = Grid.over(height_px, width_px, how)
  picture = np.random.default_rng(1).integers(0, 256, (height_px, width_px, 3), "uint8")
  np.testing.assert_array_equal(assemble(grid, (picture[box] for box in grid)), picture)
  assert len(list(grid)) == grid.num_tiles


@pytest.mark.parametrize("overlap_px", [2, 16, 48])
def test_weights_add_up_to_one_at_every_pixel(overlap_px):
  # each tile alone is lighter by 20: all of them together are, once, everywhere
  grid = Grid.over(130, 170, Tiling(tile_px=96, overlap_px=overlap_px))
  boxes, total = list(grid), np.zeros((130, 170, 3))
  assert len(boxes) == 4 if overlap_px < 48 else len(boxes) >= 4
  for lit in range(len(boxes)):
    total += assemble(
      grid,
      (
        np.full(
          (r.stop - r.start, c.stop - c.start, 3), 100 + 20 * (index == lit), "u1"
        )
        for index, (r, c) in enumerate(boxes)
      ),
    )
  # each is rounded to whole values, several times
  assert np.abs(total - 100 * len(boxes) - 20).max() <= len(boxes)


@pytest.mark.parametrize("turned", [False, True])
def test_a_step_between_neighbours_is_spread_over_far_more_than_the_overlap(turned):
  grid = Grid.over(32, 700, Tiling(tile_px=384, overlap_px=16))
  dark = np.full((32, 384, 3), 100, np.uint8)
  light = np.full((32, grid.columns.length_px - grid.columns.step_px, 3), 116, np.uint8)
  tiles = [dark, light]
  if turned:
    grid = Grid.over(700, 32, Tiling(tile_px=384, overlap_px=16))
    tiles = [tile.swapaxes(0, 1) for tile in tiles]
  assert grid.num_tiles == 2
  picture = assemble(grid, iter(tiles)).astype(int)
  row = (picture.swapaxes(0, 1) if turned else picture)[7, :, 1]
  assert (row[0], row[-1]) == (100, 116)
  assert set(np.diff(row)) <= {0, 1}
  assert np.sum((row > 100) & (row < 116)) > 100


def test_a_large_difference_is_no_matter_of_levels():
  grid = Grid.over(32, 700, Tiling(tile_px=384, overlap_px=16))
  dark = np.zeros((32, 384, 3), np.uint8)
  light = np.full((32, grid.columns.length_px - grid.columns.step_px, 3), 255, np.uint8)
  row = assemble(grid, iter([dark, light]))[7, :, 1].astype(int)
  assert row[:250].max() == 0
  assert row[-250:].min() == 255
  assert row.max() == 255


def test_any_axes_before_a_picture_are_kept():
  grid = Grid.over(70, 70, Tiling(tile_px=32, overlap_px=4))
  pictures = np.random.default_rng(2).integers(0, 256, (3, 70, 70, 3), np.uint8)
  tiles = (pictures[:, rows, columns] for rows, columns in grid)
  np.testing.assert_array_equal(assemble(grid, tiles), pictures)


def test_one_tile_is_the_picture_itself():
  grid = Grid.over(40, 50, Tiling(tile_px=64, overlap_px=16))
  picture = np.zeros((40, 50, 3), np.uint8)
  assert assemble(grid, iter([picture])) is picture


@pytest.mark.parametrize(
  ("tile_px", "overlap_px"),
  [(0, 0), (33, 0), (1 << 16, 0), (64, -2), (64, 3), (64, 34), (1024, 256)],
)
def test_other_tilings_are_refused(tile_px, overlap_px):
  with pytest.raises(ValueError, match="Expected"):
    Tiling(tile_px=tile_px, overlap_px=overlap_px)


def test_what_is_split_is_decided_by_what_the_network_is_given():
  splitting = Splitting(max_whole_px=64 * 64, tiling=Tiling(tile_px=64, overlap_px=8))
  assert splitting.of(64, 64) is None
  assert splitting.of(33, 64) is None
  assert splitting.of(65, 64) is splitting.tiling
  assert splitting.of(1, 129) is splitting.tiling  # 32 rows of padding
  assert tiling.USUAL.of(512, 768) is None
  assert tiling.USUAL.of(4000, 6000) is tiling.USUAL.tiling


def test_the_usual_tiles_cost_what_is_said():
  """See the log of decisions."""
  whole = Splitting(max_whole_px=1 << 40, tiling=tiling.USUAL.tiling)
  for height_px, width_px in ((4000, 6000), (3024, 4032), (8000, 12000)):
    sizes = [
      rates.size_bytes(height_px, width_px, 16, 8, True, splitting)
      for splitting in (tiling.USUAL, whole)
    ]
    assert 1.05 < sizes[0] / sizes[1] < 1.07


@pytest.mark.parametrize(
  ("known", "iterations", "expected"),
  [((30, 42, 54), 1, 30), ((30, 42, 54), 3, 54), ((30, 42, 54), 16, 210)],
)
def test_a_reach_grows_by_what_the_last_iteration_added(known, iterations, expected):
  assert tiling.reach_px(known, iterations) == expected


def test_no_reach_is_made_up():
  assert tiling.reach_px((), 1) is None
  assert tiling.reach_px((30,), 2) is None


@pytest.mark.parametrize(
  ("height_px", "width_px"), [(1800, 2400), (4000, 6000), (8000, 12000), (1025, 1025)]
)
def test_tiles_hold_little_more_than_the_picture(height_px, width_px):
  grid = Grid.over(height_px, width_px, tiling.USUAL.tiling)
  assert grid.num_positions(32) * 16**2 < 1.15 * height_px * width_px
