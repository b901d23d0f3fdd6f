"""The made-up picture that suppression is timed on is what the page says of it."""

import numpy as np
import pytest

from hardmine.pipelines.studies.load import (
  NUM_OBJECTS,
  SHARE_ABOVE,
  THRESHOLD,
  candidates,
)
from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection.geometry import suppression


@pytest.mark.parametrize("own_boxes", [False, True])
def test_it_is_always_the_same_picture(own_boxes):
  first, second = (candidates(300, 20, own_boxes=own_boxes) for _ in range(2))
  assert first[0].shape == ((300, 20, 4) if own_boxes else (300, 4))
  assert first[1].shape == (300, 20)
  for one, other in zip(first, second):
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, other)


def test_few_scores_are_above_the_threshold():
  _, scores = candidates(1917, 90)
  assert scores.min() > 0
  assert scores.max() <= 1
  share = (scores > THRESHOLD).mean()
  assert SHARE_ABOVE < share < 1.5 * SHARE_ABOVE  # and those on objects


def test_its_objects_are_found_and_near_duplicates_go():
  boxes, scores = candidates(1917, 90)
  found = suppression.detections(boxes, scores, PostprocessingConfig())
  assert len(found.scores) == PostprocessingConfig().max_detections
  sure = candidates(1917, 90)[1].max(axis=1) > 0.35
  assert sure.sum() > 100
  assert NUM_OBJECTS <= (found.scores > 0.35).sum() < sure.sum() / 2
