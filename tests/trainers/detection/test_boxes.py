"""Boxes: overlaps by hand, and what must not change them."""

import numpy as np
import pytest

from hardmine.trainers.detection.geometry import boxes
from tests.trainers.detection.geometry import random_boxes


@pytest.fixture
def rng():
  return np.random.default_rng(1)


def test_overlaps_by_hand():
  # yxyx: a square, its right half, its neighbour, its quarter-shifted copy, a point
  a = np.array([[0, 0, 2, 2]], "float32")
  b = np.array(
    [[0, 0, 2, 2], [0, 1, 2, 2], [0, 2, 2, 4], [1, 1, 3, 3], [1, 1, 1, 1]], "float32"
  )
  np.testing.assert_array_equal(boxes.area(b), [4, 2, 4, 4, 0])
  np.testing.assert_array_equal(boxes.pairwise_intersection(a, b), [[4, 2, 0, 1, 0]])
  np.testing.assert_allclose(
    boxes.pairwise_iou(a, b), [[1, 1 / 2, 0, 1 / 7, 0]], rtol=1e-6
  )


def test_boxes_without_area_overlap_nothing_not_even_themselves():
  point = np.zeros((1, 4), "float32")
  assert float(boxes.pairwise_iou(point, point)[0, 0]) == 0
  inverted = np.array([[0.5, 0.5, 0.2, 0.2]], "float32")
  assert float(boxes.area(inverted)[0]) == 0
  assert float(boxes.pairwise_iou(inverted, inverted)[0, 0]) == 0


def test_iou_is_symmetric_at_most_one_and_one_for_equal_boxes(rng):
  a, b = random_boxes(rng, 3, 8), random_boxes(rng, 3, 5)
  iou = np.asarray(boxes.pairwise_iou(a, b))
  assert iou.shape == (3, 8, 5)
  np.testing.assert_allclose(
    iou, np.swapaxes(boxes.pairwise_iou(b, a), 1, 2), atol=1e-6
  )
  assert np.all((iou >= 0) & (iou <= 1))
  own = np.asarray(boxes.pairwise_iou(a, a))
  np.testing.assert_allclose(own[:, range(8), range(8)], 1, atol=1e-5)


def test_iou_does_not_see_where_and_how_large(rng):
  a, b = random_boxes(rng, 8), random_boxes(rng, 5)
  expected = boxes.pairwise_iou(a, b)
  shift = np.float32([3, -2, 3, -2])
  np.testing.assert_allclose(
    boxes.pairwise_iou(a + shift, b + shift), expected, atol=1e-4
  )
  scale = np.float32([480, 640, 480, 640])
  np.testing.assert_allclose(
    boxes.pairwise_iou(a * scale, b * scale), expected, atol=1e-5
  )


def test_anchors_without_a_batch_go_with_objects_that_have_one(rng):
  anchors, truth = random_boxes(rng, 6), random_boxes(rng, 2, 3)
  for image, iou in enumerate(np.asarray(boxes.pairwise_iou(anchors, truth))):
    np.testing.assert_allclose(
      iou, boxes.pairwise_iou(anchors, truth[image]), atol=1e-6
    )


def test_conventions_by_hand_and_back(rng):
  box = np.array([[10, 20, 40, 80]], "float32")
  np.testing.assert_array_equal(boxes.yxyx_to_xywh(box), [[20, 10, 60, 30]])
  np.testing.assert_array_equal(boxes.to_centers(box), [[25, 50, 30, 60]])
  many = random_boxes(rng, 4, 6)
  for there, back in (
    (boxes.yxyx_to_xywh, boxes.xywh_to_yxyx),
    (boxes.to_centers, boxes.from_centers),
    (boxes.flip_horizontal, boxes.flip_horizontal),
  ):
    np.testing.assert_allclose(back(there(many)), many, atol=1e-6)


def test_flip_by_hand():
  box = np.array([0.1, 0.25, 0.3, 0.5], "float32")
  np.testing.assert_allclose(boxes.flip_horizontal(box), [0.1, 0.5, 0.3, 0.75])


def test_clip_keeps_what_is_inside():
  box = np.array([[-1, 0.2, 0.5, 3], [2, 2, 3, 3]], "float32")
  np.testing.assert_allclose(boxes.clip(box), [[0, 0.2, 0.5, 1], [1, 1, 1, 1]])
  window = (0.1, 0.3, 0.4, 0.9)
  np.testing.assert_allclose(boxes.clip(box, window)[0], [0.1, 0.3, 0.4, 0.9])
