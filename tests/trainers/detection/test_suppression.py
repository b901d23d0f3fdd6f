"""Suppression without TensorFlow gives what the exported graph gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection.geometry import nms, suppression

CONFIGS = st.builds(
  PostprocessingConfig,
  score_threshold=st.sampled_from([0.0, 0.01, 0.25, 1.0]),
  iou_threshold=st.sampled_from([0.0, 1 / 3, 0.5, 0.6, 1.0]),
  max_per_class=st.sampled_from([1, 2, 5, 100]),
  max_detections=st.sampled_from([1, 3, 20, 100]),
  class_agnostic=st.booleans(),
)

PROPOSALS = PostprocessingConfig(
  score_threshold=0, iou_threshold=0.7, max_per_class=300, max_detections=300
)


def drawn(rng, num_boxes, num_categories, levels, faulty, own=False):
  """Boxes on a coarse grid, so that overlaps meet thresholds and scores are equal.

  [N, 4], or with a box of its own for every category [N, C, 4]; and scores [N, C].
  """
  if own:
    boxes, _ = drawn(rng, num_boxes * num_categories, 1, levels, faulty)
    _, scores = drawn(rng, num_boxes, num_categories, levels, faulty)
    return boxes.reshape(num_boxes, num_categories, 4), scores
  grid = rng.integers(-2, 11, (num_boxes, 4)) / 8
  if levels is None:
    grid = grid + rng.normal(0, 0.05, grid.shape)
  boxes = np.concatenate(
    [np.minimum(grid[:, :2], grid[:, 2:]), np.maximum(grid[:, :2], grid[:, 2:])], axis=1
  ).astype(np.float32)
  if faulty:
    odd = rng.random(boxes.shape) < 0.1
    values = np.float32([np.nan, np.inf, -np.inf, 1e30, 0, 1e-20])
    boxes[odd] = rng.choice(values, odd.sum())
  scores = rng.random((num_boxes, num_categories))
  if levels is not None:
    scores = np.round(scores * levels) / levels
  scores = scores.astype(np.float32)
  if faulty:
    scores[rng.random(scores.shape) < 0.05] = np.nan
  return boxes, scores


def check(boxes, scores, config):
  """Compares one image; the graph's other half of the batch is the image reversed."""
  both = [np.stack([one, one[::-1]]) for one in (boxes, scores)]
  graph = [tensor.numpy() for tensor in nms.detections(*both, config)]
  for image in range(2):
    found = suppression.detections(both[0][image], both[1][image], config)
    num = graph[3][image]
    assert num == len(found.scores) <= config.max_detections
    for ours, theirs in zip(found, graph):
      assert ours.dtype == theirs.dtype
      np.testing.assert_array_equal(ours, theirs[image, :num])


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
  st.integers(0, 2**32 - 1),
  st.integers(1, 40),
  st.integers(1, 6),
  st.sampled_from([None, 1, 3, 20]),
  st.booleans(),
  st.booleans(),
  CONFIGS,
)
def test_equals_the_graph(seed, num_boxes, num_categories, levels, faulty, own, config):
  rng = np.random.default_rng(seed)
  check(*drawn(rng, num_boxes, num_categories, levels, faulty, own), config)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
  st.integers(0, 2**32 - 1),
  st.sampled_from([None, 2]),
  st.sampled_from([1, 2, 7]),
  st.sampled_from([0, 20, 1000]),
  st.booleans(),
  CONFIGS,
)
def test_looking_again_changes_nothing(seed, levels, look, pairs, own, config):
  """With looks so short that most images need several, here and in the graph."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(suppression, "_PAIRS_AT_ONCE", pairs)
    patch.setattr(suppression, "_FIRST_LOOK", look)
    patch.setattr(suppression, "_LAST_LOOK", 2 * look)
    patch.setattr(nms, "_FIRST_LOOK", look)
    check(*drawn(np.random.default_rng(seed), 30, 4, levels, False, own), config)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_among_equals_the_first_box_then_the_first_category(class_agnostic):
  boxes = np.float32([[0, 0, 0.2, 0.2], [0.4, 0, 0.6, 0.2], [0.8, 0, 1, 0.2]])
  scores = np.full((3, 2), 0.5, np.float32)
  config = PostprocessingConfig(max_detections=5, class_agnostic=class_agnostic)
  found = suppression.detections(boxes, scores, config)
  if class_agnostic:
    order = [(0, 1), (1, 1), (2, 1)]
  else:
    order = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]
  np.testing.assert_array_equal(found.boxes_yxyx_norm, boxes[[box for box, _ in order]])
  assert found.labels.tolist() == [label for _, label in order]
  check(boxes, scores, config)


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("levels", [None, 1, 50])
def test_at_the_size_of_a_real_network(class_agnostic, levels):
  """All 153,360 candidates count, most of them in one crowd."""
  rng = np.random.default_rng(3)
  boxes, scores = drawn(rng, 1917, 80, levels, False)
  boxes[:1500] = [0.1, 0.1, 0.9, 0.9]
  check(boxes, scores, PostprocessingConfig(class_agnostic=class_agnostic))


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_boxes_that_categories_share_are_the_same_boxes_for_each(class_agnostic):
  boxes, scores = drawn(np.random.default_rng(5), 60, 4, None, False)
  config = PostprocessingConfig(class_agnostic=class_agnostic)
  repeated = np.repeat(boxes[:, np.newaxis], 4, axis=1)
  shared, own = (suppression.detections(b, scores, config) for b in (boxes, repeated))
  for one, other in zip(shared, own):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_categories_move_a_box_apart(class_agnostic):
  """Two boxes meet as what the one category makes of them, and not as the other's."""
  here, there = [0, 0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]
  boxes = np.float32([[here, here], [here, there]])
  scores = np.float32([[0.9, 0.2], [0.3, 0.8]])
  config = PostprocessingConfig(class_agnostic=class_agnostic)
  found = suppression.detections(boxes, scores, config)
  expected = [(here, 0.9, 1), (there, 0.8, 2), (here, 0.2, 2)]
  for (box, score, label), *ours in zip(expected[: 2 + (not class_agnostic)], *found):
    np.testing.assert_array_equal(ours[0], np.float32(box))
    assert (ours[1], ours[2]) == (np.float32(score), label)
  assert len(found.scores) == 2 + (not class_agnostic)
  check(boxes, scores, config)


@pytest.mark.parametrize("max_proposals", [10, 300])
@pytest.mark.parametrize("levels", [None, 30])
def test_proposals_of_a_whole_map(levels, max_proposals):
  """All 29,184 anchors of 38x64 positions count."""
  rng = np.random.default_rng(6)
  rows, columns, sides = np.meshgrid(
    np.arange(38), np.arange(64), np.arange(2, 26, 2), indexing="ij"
  )
  centres = np.stack([rows, columns], axis=-1).reshape(-1, 2)
  half = rng.normal(sides.reshape(-1, 1) / 2, 0.3, (centres.shape[0], 2))
  grid = np.concatenate([centres - half, centres + half], axis=1)
  boxes = np.clip(grid / [38, 64, 38, 64], 0, 1).astype(np.float32)
  _, scores = drawn(rng, len(boxes), 1, levels, False)
  config = PostprocessingConfig(
    score_threshold=0,
    iou_threshold=0.7,
    max_per_class=max_proposals,
    max_detections=max_proposals,
  )
  check(boxes, scores, config)
  fewer = suppression.detections(boxes, scores, config)
  more = suppression.detections(boxes, scores, PROPOSALS)
  for one, other in zip(fewer, more):  # the first ones, as they come by their scores
    np.testing.assert_array_equal(one, other[:max_proposals])


def test_no_boxes_at_all():
  for shape in [(0, 4), (0, 3, 4)]:
    found = suppression.detections(
      np.zeros(shape, np.float32), np.zeros((0, 3), np.float32), PostprocessingConfig()
    )
    assert len(found.scores) == 0
