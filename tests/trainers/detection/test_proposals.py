"""Proposals: the best boxes, as suppression without TensorFlow finds them too."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.schemas.detector_config import ProposalConfig
from hardmine.trainers.detection.geometry import suppression
from hardmine.trainers.detection.meta_architectures import proposals

CONFIG = ProposalConfig(max_proposals=40)


@pytest.fixture(scope="module")
def candidates():
  generator = np.random.default_rng(0)
  corners = generator.uniform(0, 1, (2, 600, 2, 2)).astype(np.float32)
  boxes = np.sort(corners, axis=2).reshape(2, 600, 4)
  return boxes, generator.uniform(0, 1, (2, 600)).astype(np.float32)


def proposed(boxes, objectness, limit=None):
  found = proposals.propose(boxes, objectness, proposals.suppression_of(CONFIG, limit))
  return [np.asarray(value) for value in found]


def test_they_are_those_without_tensorflow_to_the_last_bit(candidates):
  boxes, num = proposed(*candidates)
  assert boxes.shape == (2, 40, 4)
  settings = proposals.suppression_of(CONFIG)
  for row in range(2):
    alone = suppression.detections(
      candidates[0][row], candidates[1][row, :, np.newaxis], settings
    )
    np.testing.assert_array_equal(boxes[row, : num[row]], alone.boxes_yxyx_norm)


def test_fewer_are_the_first_of_more(candidates):
  many, _ = proposed(*candidates)
  few, num = proposed(*candidates, limit=7)
  np.testing.assert_array_equal(few, many[:, :7])
  np.testing.assert_array_equal(num, [7, 7])


def test_degenerate_and_impossible_ones_are_none(candidates):
  boxes, objectness = (values[:1, :5].copy() for values in candidates)
  boxes[0, 1] = 0.5  # a point
  boxes[0, 2, 2] = boxes[0, 2, 0] - 0.1  # ymin > ymax
  objectness[0, 3] = 0
  found, num = proposed(boxes, objectness)
  kept = {tuple(box) for box in found[0, : num[0]]}
  assert kept == {tuple(boxes[0, 0]), tuple(boxes[0, 4])}
  assert not found[0, num[0] :].any()


def test_where_there_is_none_there_is_none(candidates):
  boxes, objectness = candidates
  found, num = proposed(np.zeros_like(boxes), objectness)
  assert not found.any()
  np.testing.assert_array_equal(num, 0)


def test_pairs_find_the_same_where_tensorflow_is_not_at_hand(candidates):
  for limit in (7, 40, 900):
    settings = proposals.suppression_of(CONFIG, limit)
    expected, num = proposed(*candidates, limit=limit)
    found, num_found = proposals._by_pairs(candidates[0], candidates[1], settings)
    np.testing.assert_array_equal(num_found, num)
    np.testing.assert_array_equal(found, expected)
