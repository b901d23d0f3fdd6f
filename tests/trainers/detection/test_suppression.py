"""Suppression without TensorFlow gives what the exported graph gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection import nms, suppression

CONFIGS = st.builds(
  PostprocessingConfig,
  score_threshold=st.sampled_from([0.0, 0.01, 0.25, 1.0]),
  iou_threshold=st.sampled_from([0.0, 1 / 3, 0.5, 0.6, 1.0]),
  max_per_class=st.sampled_from([1, 2, 5, 100]),
  max_detections=st.sampled_from([1, 3, 20, 100]),
  class_agnostic=st.booleans(),
)


def drawn(rng, num_boxes, num_categories, levels, faulty):
  """Boxes on a coarse grid, so that overlaps meet thresholds and scores are equal."""
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
  CONFIGS,
)
def test_equals_the_graph(seed, num_boxes, num_categories, levels, faulty, config):
  rng = np.random.default_rng(seed)
  check(*drawn(rng, num_boxes, num_categories, levels, faulty), config)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
  st.integers(0, 2**32 - 1),
  st.sampled_from([None, 2]),
  st.sampled_from([1, 2, 7]),
  CONFIGS,
)
def test_looking_again_changes_nothing(seed, levels, look, config):
  """With looks so short that most images need several, here and in the graph."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(suppression, "_FIRST_LOOK", look)
    patch.setattr(suppression, "_LAST_LOOK", 2 * look)
    patch.setattr(nms, "_FIRST_LOOK", look)
    check(*drawn(np.random.default_rng(seed), 30, 4, levels, False), config)


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
