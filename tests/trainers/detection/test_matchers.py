"""Matching: tables by hand, and a greedy matcher that takes one pair at a time."""

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.geometry.anchors import ssd_anchors, ssd_cells
from hardmine.trainers.detection.geometry.boxes import contains_center, pairwise_iou
from hardmine.trainers.detection.geometry.matchers import (
  argmax_matches,
  bipartite_matches,
  center_matches,
)
from tests.trainers.detection.geometry import MAPS, config, random_boxes

TABLE = np.float32(
  [  # 4 anchors, 3 objects
    [0.6, 0.7, 0.0],
    [0.5, 0.1, 0.2],
    [0.4, 0.1, 0.3],
    [0.1, 0.0, 0.1],
  ]
)


def matches(matcher, iou, valid=None, **options):
  valid = np.ones(iou.shape[-1], bool) if valid is None else np.array(valid, bool)
  found = matcher(iou[np.newaxis], valid[np.newaxis], **options)
  assert found.dtype == tf.int32
  return np.asarray(found)[0].tolist()


def test_anchors_take_their_best_object_and_objects_their_best_anchor():
  # By threshold 1, 0, none, none. Objects 0 and 1 both claim anchor 0, so the first
  # has it and object 1 has nothing; object 2 claims anchor 2 at an IoU of 0.3.
  assert matches(argmax_matches, TABLE) == [0, 0, 2, -1]


def test_a_claim_takes_an_anchor_from_a_better_object():
  iou = np.float32([[0.9, 0.8], [0.95, 0.1]])
  assert matches(argmax_matches, iou) == [1, 0]


def test_the_threshold_is_inclusive():
  iou = np.float32([[0.75], [0.5], [0.25]])
  assert matches(argmax_matches, iou) == [0, 0, -1]
  assert matches(argmax_matches, iou, matched_iou=0.25) == [0, 0, 0]
  assert matches(argmax_matches, iou, matched_iou=0.8) == [0, -1, -1]


def test_padding_matches_nothing():
  assert matches(argmax_matches, TABLE, [0, 1, 1]) == [1, -1, 2, -1]
  assert matches(argmax_matches, TABLE, [0, 0, 0]) == [-1] * 4
  assert matches(bipartite_matches, TABLE, [1, 0, 0]) == [0, -1, -1, -1]
  assert matches(bipartite_matches, TABLE, [0, 0, 0]) == [-1] * 4


@pytest.mark.parametrize("matcher", [argmax_matches, bipartite_matches])
def test_objects_that_overlap_nothing_claim_nothing(matcher):
  iou = np.float32([[0.0, 0.6], [0.0, 0.0]])
  assert matches(matcher, iou) == [1, -1]


def test_bipartite_takes_the_best_pairs_first():
  # (anchor 0, object 1) at 0.7, then (1, 0) at 0.5, then (2, 2) at 0.3
  assert matches(bipartite_matches, TABLE) == [1, 0, 2, -1]


def test_between_two_thresholds_nothing_is_learned():
  iou = np.float32([[0.7], [0.69], [0.3], [0.29], [0.0]])
  thresholds = {"matched_iou": 0.7, "unmatched_iou": 0.3}
  assert matches(argmax_matches, iou, **thresholds) == [0, -2, -2, -1, -1]
  assert matches(argmax_matches, iou, [False], **thresholds) == [-1] * 5
  # what an object claims is neither ignored nor background
  assert matches(argmax_matches, iou[1:], **thresholds) == [0, -2, -1, -1]
  assert matches(argmax_matches, iou[1:], claims=False, **thresholds) == [
    -2,
    -2,
    -1,
    -1,
  ]
  # what touches no object is background, even where nothing has to be
  assert matches(argmax_matches, iou, matched_iou=0.7, unmatched_iou=0.0)[-1] == -1
  for equal in (0.5, None):
    assert matches(argmax_matches, TABLE, unmatched_iou=equal) == [0, 0, 2, -1]


def test_without_claims_a_threshold_decides():
  assert matches(argmax_matches, TABLE, claims=False) == [1, 0, -1, -1]
  low = np.float32([[0.4], [0.3]])
  assert matches(argmax_matches, low, claims=False) == [-1, -1]


def test_an_objects_centre_finds_the_best_anchor_of_its_cell():
  iou = np.float32([[0.9, 0.2], [0.3, 0.4], [0.5, 0.4], [0.0, 0.1]])
  is_central = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], bool)[np.newaxis]
  options = {"is_central": is_central}
  # anchor 0 overlaps most, elsewhere; both want anchor 2, which overlaps object 0 more
  assert matches(center_matches, iou, **options) == [-1, -1, 0, -1]
  assert matches(center_matches, iou, [0, 1], **options) == [-1, -1, 1, -1]
  assert matches(center_matches, iou, [0, 0], **options) == [-1] * 4
  assert matches(center_matches, 0 * iou, **options) == [
    -1,
    0,
    1,
    -1,
  ]  # touches nothing


def test_every_centre_is_in_one_cell_a_map_and_so_every_object_has_an_anchor():
  rng = np.random.default_rng(0)
  truth = random_boxes(rng, 40, 1)
  anchors, cells = ssd_anchors(MAPS, config()), ssd_cells(MAPS, config())
  is_central = np.asarray(contains_center(cells, truth))
  per_cell = [3, 6, 6, 6]
  starts = np.cumsum([0, *(n * r * c for n, (r, c) in zip(per_cell, MAPS))])
  for begin, end, number in zip(starts, starts[1:], per_cell):
    assert (is_central[:, begin:end].sum(axis=1) == number).all()
  iou = np.asarray(pairwise_iou(anchors, truth))
  found = np.asarray(center_matches(iou, np.ones((40, 1), bool), is_central))
  assert ((found == 0).sum(axis=1) == 1).all()
  best = np.where(is_central, iou, -1)[..., 0].argmax(axis=1)
  np.testing.assert_array_equal(found.argmax(axis=1), best)
  outside = truth + 2
  assert not np.asarray(contains_center(cells, outside)).any()


def greedy(iou, valid):
  """One pair at a time; of equals the first anchor, then the first object."""
  left = iou * valid
  found = np.full(len(iou), -1)
  while left.max() > 0:
    anchor, owner = np.unravel_index(np.argmax(left), left.shape)
    found[anchor] = owner
    left[anchor], left[:, owner] = 0, 0
  return found


@pytest.mark.parametrize("levels", [2, 5, 1000])  # few levels make many ties
def test_bipartite_equals_one_pair_at_a_time(levels):
  rng = np.random.default_rng(levels)
  for num_anchors, num_objects in ((6, 4), (3, 7), (1, 5), (40, 9)):
    shape = (50, num_anchors, num_objects)
    iou = (rng.integers(0, levels + 1, shape) / levels).astype("float32")
    valid = rng.uniform(size=(50, num_objects)) < 0.8
    np.testing.assert_array_equal(
      bipartite_matches(iou, valid), list(map(greedy, iou, valid))
    )


def by_chance(iou, valid):
  """`center_matches`, where about half of the anchors are in a cell of an object."""
  return center_matches(iou, valid, iou % 0.25 < 0.125)


@pytest.mark.parametrize("matcher", [argmax_matches, bipartite_matches, by_chance])
def test_images_do_not_see_each_other(matcher):
  rng = np.random.default_rng(3)
  iou = rng.uniform(size=(4, 30, 5)).astype("float32")
  valid = rng.uniform(size=(4, 5)) < 0.7
  together = np.asarray(matcher(iou, valid))
  order = [2, 0, 3, 1]
  np.testing.assert_array_equal(matcher(iou[order], valid[order]), together[order])


@pytest.mark.parametrize("matcher", [argmax_matches, bipartite_matches, by_chance])
def test_graphs_of_unknown_sizes_give_the_same(matcher):
  signature = [
    tf.TensorSpec([None, None, None], tf.float32),
    tf.TensorSpec([None, None], tf.bool),
  ]
  graph = tf.function(matcher, input_signature=signature)
  iou = np.random.default_rng(4).uniform(size=(3, 20, 6)).astype("float32")
  valid = np.arange(6) < [[4], [6], [0]]
  np.testing.assert_array_equal(graph(iou, valid), matcher(iou, valid))
