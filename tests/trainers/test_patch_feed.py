"""Batches that are a function of their number."""

import itertools

import numpy as np
import pytest

from hardmine.trainers.patch_feed import PatchFeed


def numbered(count, side=4):
  """Patches of one value each, so that any turn of one is recognised."""
  values = np.arange(count, dtype=np.uint8)
  return np.broadcast_to(values[:, None, None, None], (count, side, side, 3))


def seen(batches):
  """The patches' numbers, in the order of the batches."""
  return [round((float(p[0, 0, 0]) + 0.5) * 255) for batch in batches for p in batch]


def test_a_pass_shows_every_patch_once():
  feed = PatchFeed(numbered(12), batch_size=4, seed=3)
  for pass_number in range(3):
    batches = [feed.batch(3 * pass_number + i) for i in range(3)]
    assert sorted(seen(batches)) == list(range(12))


def test_passes_have_orders_of_their_own():
  feed = PatchFeed(numbered(50), batch_size=50, seed=3)
  assert seen([feed.batch(0)]) != seen([feed.batch(1)])


@pytest.mark.parametrize("first", [0, 1, 5, 1_000_000])
def test_going_on_at_a_step_sees_what_would_have_come(first):
  patches = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
  ours = PatchFeed(patches, batch_size=3, seed=1).batches(first)
  again = PatchFeed(patches, batch_size=3, seed=1)
  for number, (batch,) in enumerate(itertools.islice(ours, 4), start=first):
    np.testing.assert_array_equal(batch, again.batch(number))


def test_patches_are_only_turned_and_mirrored_in_all_eight_ways():
  patch = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
  turned = [np.rot90(patch[0], k) for k in range(4)]
  allowed = {t.tobytes() for t in turned} | {t[:, ::-1].tobytes() for t in turned}
  feed = PatchFeed(patch, batch_size=64, seed=0)
  shown = np.rint((feed.batch(0) + 0.5) * 255).astype(np.uint8)
  assert {p.tobytes() for p in shown} == allowed


def test_without_augmentation_patches_are_shown_as_they_are():
  patch = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
  feed = PatchFeed(patch, batch_size=16, seed=0, augment=False)
  shown = np.rint((feed.batch(0) + 0.5) * 255).astype(np.uint8)
  np.testing.assert_array_equal(shown, np.repeat(patch, 16, axis=0))


def test_nothing_to_train_on_is_refused():
  with pytest.raises(ValueError, match="at least one patch"):
    PatchFeed(np.zeros((0, 4, 4, 3), np.uint8), batch_size=1, seed=0)
