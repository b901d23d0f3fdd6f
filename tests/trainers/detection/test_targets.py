"""Targets of whole images: by hand, and what must not change them."""

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.geometry import box_coder
from hardmine.trainers.detection.geometry.anchors import ssd_anchors, ssd_cells
from hardmine.trainers.detection.geometry.matchers import argmax_matches
from hardmine.trainers.detection.training.targets import assign, assign_by
from tests.trainers.detection.geometry import MAPS, config, random_boxes

ANCHORS = np.float32(
  [[0, 0, 0.5, 0.5], [0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5], [0.5, 0.5, 1, 1]]
)


def assigned(*arguments, **options):
  return tuple(np.asarray(t) for t in assign(*arguments, **options))


def test_targets_by_hand():
  truth = np.float32([[[0, 0, 0.5, 0.4], [0.6, 0.5, 0.7, 0.6], [0, 0, 0, 0]]])
  labels, codes, positive, weights = assigned(truth, [[7, 2, 0]], ANCHORS, config())
  np.testing.assert_array_equal(labels, [[7, 0, 0, 2]])
  np.testing.assert_array_equal(positive, [[True, False, False, True]])
  np.testing.assert_array_equal(weights, np.ones((1, 4)))
  np.testing.assert_allclose(codes[0, 0], [0, -1, 0, 5 * np.log(0.8)], atol=1e-5)
  np.testing.assert_array_equal(codes[0, 1:3], np.zeros((2, 4)))
  decoded = box_coder.decode(codes[0], ANCHORS)
  np.testing.assert_allclose(decoded[3], truth[0, 1], atol=1e-6)
  assert (labels.dtype, codes.dtype, weights.dtype) == ("int32", "float32", "float32")


def test_crowds_are_neither_objects_nor_background():
  # The crowd covers anchor 0, half of anchor 1 and a tenth of anchor 2.
  truth = np.float32([[[0, 0, 0.55, 0.75], [0, 0.5, 0.5, 1]]])
  labels, _, positive, weights = assigned(
    truth, [[3, 4]], ANCHORS, config(), is_crowd=[[1, 0]]
  )
  np.testing.assert_array_equal(labels, [[0, 4, 0, 0]])
  np.testing.assert_array_equal(positive, [[False, True, False, False]])
  np.testing.assert_array_equal(weights, [[0, 1, 1, 1]])  # objects come first
  _, _, _, weights = assigned(truth, [[3, 0]], ANCHORS, config(), is_crowd=[[1, 0]])
  np.testing.assert_array_equal(weights, [[0, 0, 1, 1]])  # half is enough
  _, _, _, weights = assigned(truth, [[0, 0]], ANCHORS, config(), is_crowd=[[1, 0]])
  np.testing.assert_array_equal(weights, [[1, 1, 1, 1]])  # padding


@pytest.mark.parametrize("matcher", ["argmax", "bipartite", "center"])
def test_images_without_objects_are_background(matcher):
  for num_objects in (0, 3):
    labels, codes, positive, weights = assigned(
      np.zeros((2, num_objects, 4), "float32"),
      np.zeros((2, num_objects), "int64"),
      ANCHORS,
      config(matcher=matcher),
      is_crowd=np.zeros((2, num_objects), "int64"),
      cells_yxyx_norm=ANCHORS,
    )
    assert not labels.any()
    assert not codes.any()
    assert not positive.any()
    assert weights.all()


@pytest.mark.parametrize("matcher", ["argmax", "bipartite", "center"])
def test_batches_paddings_and_graphs_give_the_same(matcher):
  rng = np.random.default_rng(0)
  anchors, settings = ssd_anchors(MAPS, config()), config(matcher=matcher)
  cells = ssd_cells(MAPS, config())
  truth = random_boxes(rng, 3, 6)
  labels = rng.integers(1, 5, (3, 6)) * (np.arange(6) < [[2], [6], [4]])
  is_crowd = np.arange(6) == [[0], [5], [9]]
  expected = assigned(truth, labels, anchors, settings, is_crowd, cells)
  assert expected[2].any(axis=1).all()

  order = [2, 0, 1]
  shuffled, alone = (
    assigned(truth[at], labels[at], anchors, settings, is_crowd[at], cells)
    for at in (order, np.s_[:1, :2])
  )
  graph = tf.function(
    lambda *arguments: assign(*arguments[:2], anchors, settings, arguments[2], cells),
    input_signature=[
      tf.TensorSpec([None, None, 4], tf.float32),
      tf.TensorSpec([None, None], tf.int64),
      tf.TensorSpec([None, None], tf.bool),
    ],
  )
  in_graph = graph(truth, labels, is_crowd)
  for index, whole in enumerate(expected):
    np.testing.assert_allclose(shuffled[index], whole[order], atol=1e-5)
    np.testing.assert_allclose(alone[index], whole[:1], atol=1e-5)
    np.testing.assert_allclose(in_graph[index], whole, atol=1e-5)


@pytest.mark.parametrize("coding", ["log", "corners", "sqrt"])
def test_targets_decode_to_their_objects_in_every_coding(coding):
  anchors = ssd_anchors(MAPS, config())
  truth = random_boxes(np.random.default_rng(2), 1, 4, min_side=0.1)
  _, codes, positive, _ = assigned(
    truth, [[1, 2, 3, 4]], anchors, config(box_coding=coding)
  )
  decoded = np.asarray(box_coder.decode(codes, anchors, coding))[positive]
  errors = np.abs(decoded[:, np.newaxis] - truth).max(axis=-1)
  assert (errors.min(axis=1) < 1e-5).all()
  assert (errors.min(axis=0) < 1e-5).all()  # every object is somebody's


def test_images_may_have_boxes_of_their_own_to_match():
  """Proposals: another set for every image, and nothing that is claimed."""
  truth = np.float32([[[0, 0, 0.5, 0.5]], [[0, 0, 0, 0]]])
  proposals = np.stack([ANCHORS, ANCHORS[::-1]])
  labels, codes, positive, weights = (
    np.asarray(column)
    for column in assign_by(
      lambda iou, valid, boxes: argmax_matches(iou, valid, 0.5, claims=False),
      truth,
      [[5], [0]],
      proposals,
    )
  )
  np.testing.assert_array_equal(labels, [[5, 0, 0, 0], [0, 0, 0, 0]])
  np.testing.assert_array_equal(positive, labels > 0)
  assert not codes.any()
  assert weights.all()
