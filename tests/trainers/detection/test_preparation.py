"""Pictures are prepared without TensorFlow as TensorFlow prepares them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardmine.schemas.detector_config import KeptProportions, SSDConfig, Stretched
from hardmine.trainers.detection.inputs.preparation import (
  Prepared,
  prepare,
  resize_bilinear,
)
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from tests.trainers.detection.tiny_extractor import TinyExtractor

SIDE = st.integers(1, 130)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SIDE, SIDE, SIDE, SIDE, st.sampled_from([1, 3]))
@example(1, 1, 7, 9, 3)
@example(97, 64, 97, 64, 3)
@example(333, 500, 300, 300, 3)
def test_resizing_is_tensorflows_to_the_last_bit(height, width, new_h, new_w, depth):
  image = np.random.default_rng(height).integers(
    0, 256, (height, width, depth), dtype=np.uint8
  )
  expected = np.asarray(tf.image.resize(image, (new_h, new_w), "bilinear"))
  found = resize_bilinear(image, new_h, new_w)
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, expected)


def test_views_are_read_where_they_lie():
  image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
  for view in (image[::-1, ::-1], image[5:50:3, 2:60], image.transpose(1, 0, 2)):
    np.testing.assert_array_equal(
      resize_bilinear(view, 33, 40), resize_bilinear(view.copy(), 33, 40)
    )


def test_a_large_picture_is_not_copied():
  image = np.zeros((4000, 6000, 3), np.uint8)
  tracemalloc.start()
  resize_bilinear(image, 300, 300)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 6e6  # 72 MB hold the picture, 1.1 MB the result


@pytest.mark.parametrize("size", [(96, 96), (480, 640), (31, 200)])
def test_an_ssd_says_what_it_does(size):
  config = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
  image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
  np.testing.assert_array_equal(
    prepare(image, SSD.preparation(config)),
    np.asarray(SSD.prepared(config, image), np.float32),
  )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(64, 130))
@example(333, 500, 100)
@example(64, 64, 64)
@example(1, 300, 64)
def test_kept_proportions_are_resized_as_tensorflow_does(height, width, side):
  resizer = KeptProportions(min_side_px=side, max_side_px=150)
  image = np.random.default_rng(width).integers(
    0, 256, (height, width, 3), dtype=np.uint8
  )
  size = resizer.size_px(height, width)
  expected = np.asarray(tf.image.resize(image, size, "bilinear"), np.float32)
  np.testing.assert_array_equal(prepare(image, resizer), expected)


def test_it_travels_as_json():
  whole = Prepared(preparation=Stretched(height_px=300, width_px=200))
  assert Prepared.from_json(whole.to_json()) == whole
  assert whole.preparation.size_px(9, 8) == (300, 200)
  whole = Prepared(preparation=KeptProportions(min_side_px=70, max_side_px=90))
  assert Prepared.from_json(whole.to_json()) == whole


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_kept_proportions(height_px, width_px):
  resizer = KeptProportions(min_side_px=100, max_side_px=170)
  height, width = resizer.size_px(height_px, width_px)
  assert resizer.size_px(width_px, height_px) == (width, height)
  assert 1 <= min(height, width) <= 100
  assert min(height, width) == 100 or max(height, width) == 170
  assert max(height, width) <= 170
  # one rounding: of the side that is not given
  assert abs(height * width_px - width * height_px) <= max(height_px, width_px) / 2 or (
    min(height, width) == 1
  )
