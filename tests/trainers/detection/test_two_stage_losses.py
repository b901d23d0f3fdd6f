"""The losses of both stages, computed by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from hardmine.trainers.detection.training.targets import Targets
from hardmine.trainers.detection.training.two_stage_losses import (
  image_mean,
  proposal_losses,
  region_losses,
)
from tests.trainers.detection.tiny_two_stages import FASTER

BOXES = np.array([[0.1, 0.1, 0.4, 0.5]] * 4, np.float32)


def targets_of(labels, codes=0.0):
  labels = np.array(labels, np.int32)
  return Targets(
    labels=labels,
    codes=np.full((*labels.shape, 4), codes, np.float32) * (labels > 0)[..., None],
    positive=labels > 0,
    weights=np.ones(labels.shape, np.float32),
  )


def test_an_image_is_divided_by_what_is_drawn_of_it():
  targets = targets_of([[1, 0, 0, 0], [2, 0, 0, 0]], codes=0.5)
  sampled = np.array([[1, 1, 1, 0], [0, 0, 1, 0]], np.float32)
  objectness, boxes = proposal_losses(
    np.zeros((2, 4, 2)), np.zeros((2, 4, 4)), targets, sampled, BOXES, FASTER
  )
  assert float(objectness) == pytest.approx(math.log(2))
  # four times 0.5^2 / 2 at one of three anchors, in one of two images, twice
  assert float(boxes) == pytest.approx(0.5 / 3 / 2 * 2)


def test_nothing_drawn_is_no_loss():
  targets, nothing = targets_of([[0] * 4] * 2), np.zeros((2, 4), np.float32)
  found = proposal_losses(
    np.zeros((2, 4, 2)), np.ones((2, 4, 4)), targets, nothing, BOXES, FASTER
  )
  assert [float(loss) for loss in found] == [0, 0]


def test_a_region_learns_the_box_of_its_own_category():
  targets = targets_of([[2, 0]], codes=1.0)
  codes = np.zeros((1, 2, 3, 4), np.float32)
  codes[0, :, 1] = 1.0  # right for category 2 alone
  config = dataclasses.replace(
    FASTER, localization_weight=3.0, classification_weight=0.5
  )
  classes, boxes = region_losses(
    np.zeros((1, 2, 4)), codes, targets, BOXES[np.newaxis, :2], config
  )
  np.testing.assert_allclose(classes, [[0.5 * math.log(4)] * 2], rtol=1e-6)
  np.testing.assert_allclose(boxes, 0)
  _, boxes = region_losses(
    np.zeros((1, 2, 4)), 1 - codes, targets, BOXES[np.newaxis, :2], config
  )
  np.testing.assert_allclose(boxes, [[3 * 4 * 0.5, 0]])


def test_what_does_not_count_may_be_anything():
  per_region = np.array([[1.0, np.nan, 3.0], [np.inf, 5.0, 7.0]], np.float32)
  counts = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
  found = image_mean(per_region, counts, np.array([4.0, 0.0], np.float32))
  assert float(found) == pytest.approx((4 / 4 + 5 / 1) / 2)
