"""Suppression beside a plain one in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.detection.geometry.nms import detections
from tests.trainers.detection.geometry import random_boxes


def greedy(iou, scores, config, limit):
  """Indices of one category's boxes, best first."""
  kept = []
  for index in np.argsort(-scores, kind="stable"):
    if scores[index] <= config.score_threshold or len(kept) == limit:
      break
    if all(iou[index, other] <= config.iou_threshold for other in kept):
      kept.append(index)
  return kept


def expected_detections(boxes, scores, config):
  """(score, label, box) of one image, best first; among equals by box, then label."""
  if boxes.ndim == 2:
    boxes = np.repeat(boxes[:, np.newaxis], scores.shape[1], axis=1)
  if config.class_agnostic:
    labels, best = scores.argmax(axis=1), scores.max(axis=1)
    own = boxes[np.arange(len(boxes)), labels]
    iou = np.asarray(pairwise_iou(own, own))
    found = [
      (-best[index], index, labels[index])
      for index in greedy(iou, best, config, config.max_detections)
    ]
  else:
    found = []
    for category in range(scores.shape[1]):
      own, best = boxes[:, category], scores[:, category]
      iou = np.asarray(pairwise_iou(own, own))
      kept = greedy(iou, best, config, config.max_per_class)
      found += [(-best[index], index, category) for index in kept]
  best = sorted(found)[: config.max_detections]
  return [
    (-score, category + 1, boxes[index, category]) for score, index, category in best
  ]


def clustered(rng, batch, num_boxes, num_categories):
  """Boxes in clusters, so that many overlap, with scores that are all different."""
  centres = random_boxes(rng, batch, 8, min_side=0.2)
  boxes = centres[:, rng.integers(0, 8, num_boxes)]
  boxes = boxes + rng.normal(0, 0.02, boxes.shape).astype("float32")
  ranks = rng.permuted(
    np.tile(np.arange(num_boxes * num_categories), (batch, 1)), axis=1
  )
  scores = ((ranks + 1) / (ranks.shape[1] + 1)).astype("float32")
  return boxes, scores.reshape(batch, num_boxes, num_categories)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize(
  "settings",
  [
    {},
    {"iou_threshold": 0.3, "score_threshold": 0.4},
    {"max_per_class": 3, "max_detections": 7},
    {"max_per_class": 500, "max_detections": 400, "iou_threshold": 0.9},
  ],
)
@pytest.mark.parametrize("num_categories", [1, 5])
@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
def test_equals_plain_suppression(class_agnostic, settings, num_categories, own):
  config = PostprocessingConfig(class_agnostic=class_agnostic, **settings)
  rng = np.random.default_rng(0)
  boxes, scores = clustered(rng, 2, 60, num_categories)
  if own:
    boxes = np.repeat(boxes[:, :, np.newaxis], num_categories, axis=2)
    boxes = boxes + rng.normal(0, 0.02, boxes.shape).astype("float32")
  found = [tensor.numpy() for tensor in detections(boxes, scores, config)]
  for image in range(2):
    expected = expected_detections(boxes[image], scores[image], config)
    num = found[3][image]
    assert num == len(expected) > 0
    best, labels, kept = map(np.array, zip(*expected))
    np.testing.assert_array_equal(found[1][image, :num], best)
    np.testing.assert_array_equal(found[2][image, :num], labels)
    np.testing.assert_allclose(found[0][image, :num], np.clip(kept, 0, 1), atol=1e-6)
    assert not any(tensor[image, num:].any() for tensor in found[:3])


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("num_categories", [1, 4])
def test_equal_scores_have_one_order(class_agnostic, num_categories):
  """Score, then box, then category; of many orders that are greedy this one alone."""
  rng = np.random.default_rng(1)
  boxes, _ = clustered(rng, 2, 80, 1)
  scores = rng.integers(1, 4, (2, 80, num_categories)).astype("float32") / 4
  config = PostprocessingConfig(iou_threshold=0.5, class_agnostic=class_agnostic)
  found = [tensor.numpy() for tensor in detections(boxes, scores, config)]
  for image in range(2):
    best, labels, kept = zip(*expected_detections(boxes[image], scores[image], config))
    num = found[3][image]
    assert num == len(best)
    np.testing.assert_array_equal(found[1][image, :num], best)
    np.testing.assert_array_equal(found[2][image, :num], labels)
    np.testing.assert_array_equal(found[0][image, :num], np.clip(kept, 0, 1))


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_boxes_outside_or_without_numbers_suppress_nothing(class_agnostic):
  boxes = np.float32(
    [[[0.2, 1.0, 0.4, 1.9], [0.2, 0.9, 0.4, 1.9], [0.1, np.nan, 0.2, 0.2]]]
  )
  scores = np.float32([[[0.9], [0.5], [0.8]]])
  config = PostprocessingConfig(class_agnostic=class_agnostic)
  found, best, labels, num = (t.numpy() for t in detections(boxes, scores, config))
  assert num.tolist() == [1]
  np.testing.assert_allclose(found[0, 0], [0.2, 0.9, 0.4, 1])
  assert (best[0, 0], labels[0, 0]) == (np.float32(0.5), 1)
  assert np.all(np.isfinite(found))


def test_categories_suppress_each_other_only_when_agnostic():
  boxes = np.float32([[[0, 0, 1, 1], [0, 0, 1, 0.9]]])
  scores = np.float32([[[0.9, 0.3], [0.2, 0.8]]])
  *_, labels, num = detections(boxes, scores, PostprocessingConfig())
  assert labels[0, : num[0]].numpy().tolist() == [1, 2]
  agnostic = PostprocessingConfig(class_agnostic=True)
  *_, labels, num = detections(boxes, scores, agnostic)
  assert labels[0, : num[0]].numpy().tolist() == [1]


@pytest.mark.parametrize("own", [[], [3]])
@pytest.mark.parametrize("class_agnostic", [False, True])
def test_sizes_are_static_and_empty_images_are_zeros(class_agnostic, own):
  config = PostprocessingConfig(class_agnostic=class_agnostic, max_detections=9)
  graph = tf.function(
    lambda boxes, scores: detections(boxes, scores, config),
    input_signature=[
      tf.TensorSpec([None, None, *own, 4], tf.float32),
      tf.TensorSpec([None, None, 3], tf.float32),
    ],
  )
  shapes = [t.shape.as_list() for t in graph.get_concrete_function().outputs]
  assert shapes == [[None, 9, 4], [None, 9], [None, 9], [None]]
  boxes = random_boxes(np.random.default_rng(2), 2, 20)
  if own:
    boxes = np.repeat(boxes[:, :, np.newaxis], 3, axis=2)
  outputs = graph(boxes, np.full((2, 20, 3), 0.001, "float32"))
  assert [t.dtype.name for t in outputs] == ["float32", "float32", "int32", "int32"]
  assert not any(t.numpy().any() for t in outputs)
