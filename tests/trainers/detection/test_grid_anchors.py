"""The anchors of first stages: places, sizes, order."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hardmine.schemas.detector_config import ProposalConfig
from hardmine.trainers.detection.geometry.grid_anchors import (
  grid_anchors,
  inside,
  sides_px,
)


def test_the_study_has_twelve_a_position():
  sides = sides_px(ProposalConfig())
  assert sides.shape == (12, 2)
  # ratio by ratio, and of each all scales; ratio 0.5 is twice as high as wide
  np.testing.assert_allclose(np.sqrt(sides.prod(axis=1)), [64, 128, 256, 512] * 3)
  np.testing.assert_allclose(
    sides[:, 1] / sides[:, 0], np.repeat([0.5, 1, 2], 4), rtol=1e-6
  )


def test_centres_are_multiples_of_the_stride_row_by_row():
  config = ProposalConfig(base_px=32, scales=(1.0,), aspect_ratios=(1.0,))
  anchors = np.asarray(grid_anchors(2, 3, 16, config))
  assert anchors.shape == (6, 4)
  np.testing.assert_allclose(anchors[0], [-16, -16, 16, 16])
  np.testing.assert_allclose(anchors[1], [-16, 0, 16, 32])
  np.testing.assert_allclose(anchors[3], [0, -16, 32, 16])


def test_a_graph_of_any_size_makes_the_same():
  config = ProposalConfig(base_px=50)

  @tf.function(input_signature=[tf.TensorSpec([None, None])])
  def of_map(features):
    return grid_anchors(tf.shape(features)[0], tf.shape(features)[1], 8, config)

  for size in ((2, 3), (5, 1)):
    np.testing.assert_array_equal(
      of_map(tf.zeros(size)), np.asarray(grid_anchors(*size, 8, config))
    )


def test_those_on_the_border_are_inside():
  anchors = np.array([[0, 0, 9, 9], [-1, 0, 9, 9], [0, 1, 9, 10], [2, 2, 3, 3]], "f4")
  found = inside(anchors, (0, 0, 9, 9))
  np.testing.assert_array_equal(found, [True, False, False, True])
