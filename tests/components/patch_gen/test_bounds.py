"""No tile's PNG is larger than the bounds by which most tiles are skipped."""

from pathlib import Path

import numpy as np
import pytest

from hardmine.components.patch_gen.bounds import activity_bound, entropy_bound
from hardmine.components.patch_gen.scoring import filter_rows, magnitudes, png_size
from hardmine.components.patch_gen.tiling import cut
from tests.components.patch_gen.hard_streams import hard_streams, hard_tiles

SIDES = (16, 32, 64, 128, 256)


@pytest.mark.parametrize("side", SIDES)
def test_no_stream_is_larger_than_the_bound_of_its_entropy(side):
  num_bytes = side * (3 * side + 1)
  for name, stream in hard_streams(num_bytes):
    (bound,) = entropy_bound(stream[None])
    spare_bits = 8 * (bound - png_size(stream)) / num_bytes
    assert spare_bits > 0.05, name


@pytest.mark.parametrize("side", SIDES)
def test_no_tile_is_larger_than_the_bound_of_its_activity(side):
  tiles = cut(hard_tiles(side, 3, 6), side).reshape(-1, side, side, 3)
  filtered = filter_rows(tiles)
  sizes = np.array([png_size(rows) for rows in filtered])
  activity = magnitudes(filtered[..., 1:]).sum(1)
  bounds = activity_bound(activity, side)
  assert (sizes < bounds).all()
  assert (entropy_bound(filtered) <= bounds).all()


def test_the_bound_of_a_larger_activity_is_larger():
  for side in SIDES:
    bounds = activity_bound(np.arange(0, 128 * 3 * side * side, 97), side)
    assert (np.diff(bounds) >= 0).all()


@pytest.mark.parametrize("length", [96, 511, 512, 768])
def test_magnitudes_do_not_overflow(length):
  extremes = np.full((2, length), 128, np.uint8)
  assert magnitudes(extremes).tolist() == [128 * length] * 2


def test_the_schema_allows_the_largest_score():
  noise = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
  # Of equal frequencies, as noise seldom is: nothing is left to save.
  equal = np.tile(np.arange(256, dtype=np.uint8), 769).reshape(256, 769)
  equal = np.random.default_rng(0).permuted(equal, axis=None)
  sizes = [png_size(filter_rows(noise)[0]), png_size(equal)]
  text = (Path(__file__).parents[3] / "schemas" / "patch_example.pbtxt").read_text()
  assert 57 + 256 * 769 < max(sizes) <= 57 + 256 * 769 + 6 + 7 * 240
  assert f"max: {57 + 256 * 769 + 6 + 7 * 240} " in text
