"""Crops against closed forms: bilinear interpolation is exact on ramps."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.trainers.detection.geometry.boxes import flip_horizontal
from hardmine.trainers.detection.meta_architectures import crops
from hardmine.trainers.graph_form import light_form

ROWS, COLUMNS = 7, 9
RAMP = np.stack(
  np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij"), axis=-1
).astype(np.float32)[np.newaxis]  # [1, rows, columns, 2]: a position holds its place
WHOLE = [0.0, 0.0, 1.0, 1.0]


def boxes_of(*boxes):
  return np.array([boxes], np.float32)


def cropped(features, boxes, crop_px):
  return np.asarray(crops.crop_and_resize(tf.constant(features), boxes, crop_px))


def pooled(features, boxes, bins, crop_px):
  found = crops.position_sensitive(tf.constant(features), boxes, bins, crop_px)
  return np.asarray(found)


def noise(seed, depth, images=1):
  shape = (images, ROWS, COLUMNS, depth)
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@st.composite
def some_boxes(draw):
  """Two images of three boxes, inside, across and beyond the border, some empty."""
  edge = st.floats(-0.5, 1.5, width=32) | st.sampled_from([0.0, 0.5, 1.0])
  corners = draw(st.lists(st.tuples(edge, edge, edge, edge), min_size=6, max_size=6))
  boxes = np.array(corners, np.float32).reshape(2, 3, 2, 2)
  return np.sort(boxes, axis=2).reshape(2, 3, 4)


@pytest.mark.parametrize("crop_px", [1, 2, 5, 14])
def test_a_ramp_is_sampled_where_it_should_be(crop_px):
  top, left, bottom, right = 0.1, 0.25, 0.7, 0.9
  found = cropped(RAMP, boxes_of([top, left, bottom, right]), crop_px)[0, 0]
  if crop_px == 1:
    y, x = [(top + bottom) / 2], [(left + right) / 2]
  else:
    y, x = np.linspace(top, bottom, crop_px), np.linspace(left, right, crop_px)
  grid = np.meshgrid(np.multiply(y, ROWS - 1), np.multiply(x, COLUMNS - 1))
  np.testing.assert_allclose(found[..., 0], grid[0].T, atol=1e-5)
  np.testing.assert_allclose(found[..., 1], grid[1].T, atol=1e-5)


def test_the_whole_map_is_itself_to_its_very_border():
  for crop_px in range(2, 40):
    found = cropped(np.ones((1, 64, 64, 1), np.float32), boxes_of(WHOLE), crop_px)
    np.testing.assert_allclose(found, 1)
  found = cropped(RAMP[:, :, :ROWS], boxes_of(WHOLE), ROWS)
  np.testing.assert_allclose(found[0, 0], RAMP[0, :, :ROWS], atol=1e-5)


def test_beyond_the_map_is_nothing():
  found = cropped(np.ones_like(RAMP), boxes_of([-0.5, 0.0, 0.5, 1.0]), 3)[0, 0, :, 0]
  np.testing.assert_allclose(found[:, 0], [0, 1, 1])
  assert not cropped(RAMP + 1, boxes_of([1.1, 1.1, 1.4, 1.4]), 3).any()


def test_a_box_without_area_is_a_point():
  found = cropped(RAMP, boxes_of([0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]), 4)
  np.testing.assert_allclose(found[0, 0].reshape(-1, 2), [[3, 4]] * 16, atol=1e-5)
  np.testing.assert_allclose(found[0, 1], 0, atol=1e-4)


def test_each_image_has_its_own_boxes():
  features = np.concatenate([RAMP, -RAMP])
  boxes = np.array([[WHOLE, [0, 0, 0.5, 0.5]], [[0, 0, 0.5, 0.5], WHOLE]], np.float32)
  found = cropped(features, boxes, 3)
  np.testing.assert_allclose(found[0, ::-1], -found[1], atol=1e-5)


def test_a_mirrored_map_has_mirrored_crops():
  features = noise(0, 3)
  boxes = boxes_of([0.1, 0.2, 0.6, 0.9], [-0.2, 0.5, 0.8, 1.3])
  mirrored = cropped(features[:, :, ::-1], np.asarray(flip_horizontal(boxes)), 6)
  np.testing.assert_allclose(
    mirrored, cropped(features, boxes, 6)[:, :, :, ::-1], atol=1e-5
  )


@pytest.mark.parametrize(("bins", "crop_px"), [(1, 5), (3, 12), (3, 3), (7, 21)])
def test_pooling_a_constant_map_is_constant(bins, crop_px):
  features = np.full((1, ROWS, COLUMNS, bins**2 * 2), 3.5, np.float32)
  boxes = boxes_of(WHOLE, [0.2, 0.3, 0.4, 0.9], [0.5, 0.5, 0.5, 0.5])
  np.testing.assert_allclose(pooled(features, boxes, bins, crop_px), 3.5, rtol=1e-5)


def test_one_bin_is_the_mean_of_a_crop():
  features, boxes = noise(1, 4), boxes_of([0.1, 0.2, 0.6, 0.9], WHOLE)
  plain = cropped(features, boxes, 6).mean(axis=(2, 3))
  np.testing.assert_allclose(pooled(features, boxes, 1, 6), plain, atol=1e-5)


def test_every_bin_has_a_map_of_its_own():
  """A map that is 1 in one bin alone gives a ninth, whichever bin it is."""
  box = boxes_of([0.1, 0.2, 0.6, 0.9])
  for bin_ in range(9):
    features = np.zeros((1, ROWS, COLUMNS, 9, 1), np.float32)
    features[..., bin_, :] = 1
    found = pooled(features.reshape(1, ROWS, COLUMNS, 9), box, 3, 6)
    np.testing.assert_allclose(found, 1 / 9, rtol=1e-5)
  # of a ramp: the middle of the bin, here of the last row and the first column
  features = np.zeros((1, ROWS, COLUMNS, 9, 2), np.float32)
  features[..., 6, :] = RAMP
  found = pooled(features.reshape(1, ROWS, COLUMNS, 18), box, 3, 6)[0, 0] * 9
  middle = (0.1 + 0.5 * 5 / 6) * (ROWS - 1), (0.2 + 0.7 / 6) * (COLUMNS - 1)
  np.testing.assert_allclose(found, middle, rtol=1e-5)


@given(some_boxes(), st.sampled_from([(1, 1), (3, 3), (3, 12), (2, 6)]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_all_ways_to_pool_give_the_same(boxes, how):
  bins, crop_px = how
  features = noise(2, bins**2 * 3, images=2)
  found = pooled(features, boxes, bins, crop_px)
  with light_form():
    by_crops = pooled(features, boxes, bins, crop_px)
  guarded = crops._guarded(boxes)
  products = crops._pool_by_products(features, guarded, bins, crop_px // bins)
  np.testing.assert_allclose(found, by_crops, atol=2e-4)
  np.testing.assert_allclose(found, products, atol=2e-4)


@given(some_boxes(), st.sampled_from([1, 2, 5]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_both_ways_to_crop_give_the_same(boxes, crop_px):
  features = noise(3, 3, images=2)
  products = crops._crop_by_products(features, crops._guarded(boxes), crop_px)
  np.testing.assert_allclose(cropped(features, boxes, crop_px), products, atol=2e-4)


def test_no_box_is_no_crop():
  none = np.zeros((2, 0, 4), np.float32)
  assert cropped(noise(4, 3, 2), none, 5).shape == (2, 0, 5, 5, 3)
  assert pooled(noise(4, 9 * 2, 2), none, 3, 6).shape == (2, 0, 2)


def test_what_is_learned_through_a_pool_is_learned_through_its_samples():
  features, boxes = tf.constant(noise(5, 9 * 2)), boxes_of([0.1, 0.2, 0.6, 0.9], WHOLE)
  slopes = []
  for pool in (crops._pool_by_sparse_product, crops._pool_by_products):
    with tf.GradientTape() as tape:
      tape.watch(features)
      loss = tf.reduce_sum(pool(features, crops._guarded(boxes), 3, 2) ** 2)
    slopes.append(tape.gradient(loss, features))
  np.testing.assert_allclose(*slopes, atol=1e-5)
