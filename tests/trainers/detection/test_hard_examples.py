"""Mining: quotas by hand, and duplicates against one box at a time."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.detection.training import hard_examples
from hardmine.trainers.detection.training.hard_examples import worst_distinct
from tests.trainers.detection.geometry import random_boxes


def mask(loss, positive, weights=None, ratio=3.0):
  weights = np.ones(np.shape(loss)) if weights is None else weights
  found = hard_examples.hard_examples(
    np.float32(loss), np.array(positive, bool), np.float32(weights), ratio
  )
  return np.asarray(found).tolist()


def test_the_worst_negatives_count():
  loss = [[0.1, 5, 3, 4, 1, 2]]
  assert mask(loss, [[1, 0, 0, 0, 0, 0]]) == [[1, 1, 1, 1, 0, 0]]
  assert mask(loss, [[1, 0, 0, 1, 0, 0]], ratio=0.5) == [[1, 1, 0, 1, 0, 0]]
  assert mask(loss, [[1, 0, 0, 0, 0, 0]], ratio=0.5) == [[1, 0, 0, 0, 0, 0]]
  assert mask(loss, [[0, 0, 0, 0, 0, 0]]) == [[0] * 6]
  assert mask(loss, [[0, 0, 0, 0, 0, 0]], ratio=0) == [[1] * 6]
  assert mask(loss, [[1, 1, 1, 0, 0, 0]]) == [[1] * 6]  # fewer than nine


def test_every_image_has_its_own_quota():
  loss = [[9, 9, 9, 9], [1, 2, 3, 4]]
  positive = [[0, 0, 0, 0], [1, 0, 0, 0]]
  assert mask(loss, positive, ratio=2) == [[0, 0, 0, 0], [1, 0, 1, 1]]


def test_ignored_anchors_count_neither_way():
  loss, positive = [[1, 9, 2, 3]], [[1, 0, 0, 0]]
  weights = [[1, 0, 1, 1]]
  assert mask(loss, positive, weights, ratio=1) == [[1, 0, 0, 1]]
  assert mask(loss, positive, weights, ratio=0) == [[1, 0, 1, 1]]


def test_equal_losses_do_not_lift_the_quota():
  positive = np.arange(200) == 100
  found = np.array(mask(np.zeros((1, 200)), [positive]))[0]
  assert found.sum() == 4
  np.testing.assert_array_equal(np.flatnonzero(found), [0, 1, 2, 100])


@pytest.fixture(params=["kernel", "pairs"])
def chosen(request, monkeypatch):
  """`worst_distinct`, as a processor and as what XLA compiles does it."""
  monkeypatch.setattr(hard_examples, "on_accelerator", lambda: request.param == "pairs")

  def chosen(*arguments):
    found = worst_distinct(*arguments)
    assert found.dtype == tf.float32
    return np.asarray(found) > 0

  return chosen


def one_by_one(boxes, loss, counts, duplicate_iou, num):
  """Of one image, by the definition."""
  overlap = np.asarray(pairwise_iou(boxes, boxes))
  kept = []
  for place in np.argsort(-loss, kind="stable"):
    rivals = [overlap[other, place] > duplicate_iou for other in kept]
    if counts[place] and not any(rivals) and len(kept) < num:
      kept.append(place)
  return np.isin(np.arange(len(loss)), kept)


@pytest.mark.parametrize("levels", [2, 1000])  # few levels make many ties
@pytest.mark.parametrize("duplicate_iou", [0.2, 0.5, 0.9])
def test_duplicates_go_as_if_one_by_one(chosen, levels, duplicate_iou):
  rng = np.random.default_rng(levels)
  boxes = random_boxes(rng, 3, 15)
  boxes = np.concatenate([boxes, boxes + 0.002, boxes], axis=1)
  boxes[0, :5, 2:] = boxes[0, :5, :2]  # without area
  boxes[1, :5] = boxes[1, :5, [2, 3, 0, 1]].T  # inverted
  loss = (rng.integers(0, levels, boxes.shape[:2]) / levels).astype("float32")
  counts = rng.uniform(size=loss.shape) < 0.8
  for num in (1, 7, 1000):
    found = chosen(boxes, loss, counts, duplicate_iou, num)
    expected = [
      one_by_one(*image, duplicate_iou, num) for image in zip(boxes, loss, counts)
    ]
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_learned_through_the_choice_and_no_box_is_too_wild(chosen):
  boxes = np.float32([[[0, 0, 1, 1], [0, 0, 1, 0.999], [-1e30, 0, 1e30, 1]]])
  loss = tf.constant([[1.0, 2.0, 0.5]])
  np.testing.assert_array_equal(
    chosen(boxes, loss, np.ones((1, 3), bool), 0.99, 3), [[False, True, True]]
  )
  np.testing.assert_array_equal(
    chosen(boxes, loss, np.zeros((1, 3), bool), 0.99, 3), [[False] * 3]
  )
  with tf.GradientTape() as tape:
    tape.watch(loss)
    found = worst_distinct(boxes, loss, np.ones((1, 3), bool), 0.99, 3)
    total = tf.reduce_sum(found * loss)
  np.testing.assert_array_equal(tape.gradient(total, loss), [[0, 1, 1]])


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(strategies.integers(0, 2**31), strategies.floats(0, 1))
def test_what_stays_overlaps_little_and_is_never_better_than_what_it_beat(
  seed, duplicate_iou
):
  rng = np.random.default_rng(seed)
  boxes = random_boxes(rng, 1, 12)
  loss = rng.uniform(size=(1, 12)).astype("float32")
  kept = np.asarray(worst_distinct(boxes, loss, loss > 0, duplicate_iou, 12))[0] > 0
  overlap = np.asarray(pairwise_iou(boxes, boxes))[0] > duplicate_iou + 1e-6
  assert not overlap[kept][:, kept][~np.eye(kept.sum(), dtype=bool)].any()
  beaten = np.asarray(pairwise_iou(boxes, boxes))[0] > duplicate_iou - 1e-6
  worse = loss[0][:, None] > loss[0][None]
  assert (beaten & worse)[kept][:, ~kept].any(axis=0).all()
