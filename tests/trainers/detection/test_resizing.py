"""Sizes in graphs are those of the config, and pixels those of every other resize."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.detector_config import KeptProportions, Stretched
from hardmine.trainers.detection.inputs import preparation, resizing

RESIZERS = [
  KeptProportions(),
  KeptProportions(min_side_px=300, max_side_px=512),
  KeptProportions(min_side_px=64, max_side_px=64),
  Stretched(height_px=96, width_px=128),
]


@pytest.mark.parametrize("resizer", RESIZERS, ids=repr)
def test_a_graph_rounds_as_the_config_does(resizer):
  @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
  def size_px(pixels):
    return tf.convert_to_tensor(resizing.size_px(pixels, resizer))

  sizes = np.random.default_rng(0).integers(1, 5000, (150, 2)).tolist()
  for size in [*sizes, (1, 4000), (600, 1024), (1024, 600), (417, 650)]:
    pixels = np.broadcast_to(np.uint8(0), (*size, 3))
    assert tuple(size_px(pixels).numpy()) == resizer.size_px(*size)


@pytest.mark.parametrize("resizer", RESIZERS, ids=repr)
def test_pixels_are_those_without_tensorflow(resizer):
  pixels = np.random.default_rng(1).integers(0, 256, (2, 70, 110, 3), np.uint8)
  found = resizing.resized(pixels, resizer).numpy()
  for image, alone in zip(pixels, found):
    expected = preparation.prepare(image, resizer)
    np.testing.assert_array_equal(alone, expected)
  assert resizing.spec(resizer).is_compatible_with(tf.constant(found[0]))
