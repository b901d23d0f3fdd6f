"""Matching: tables by hand, and a greedy matcher that takes one pair at a time."""

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.matchers import argmax_matches, bipartite_matches

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


@pytest.mark.parametrize("matcher", [argmax_matches, bipartite_matches])
def test_images_do_not_see_each_other(matcher):
  rng = np.random.default_rng(3)
  iou = rng.uniform(size=(4, 30, 5)).astype("float32")
  valid = rng.uniform(size=(4, 5)) < 0.7
  together = np.asarray(matcher(iou, valid))
  order = [2, 0, 3, 1]
  np.testing.assert_array_equal(matcher(iou[order], valid[order]), together[order])


@pytest.mark.parametrize("matcher", [argmax_matches, bipartite_matches])
def test_graphs_of_unknown_sizes_give_the_same(matcher):
  signature = [
    tf.TensorSpec([None, None, None], tf.float32),
    tf.TensorSpec([None, None], tf.bool),
  ]
  graph = tf.function(matcher, input_signature=signature)
  iou = np.random.default_rng(4).uniform(size=(3, 20, 6)).astype("float32")
  valid = np.arange(6) < [[4], [6], [0]]
  np.testing.assert_array_equal(graph(iou, valid), matcher(iou, valid))
