"""Crops in ONNX are TensorFlow's, wherever a box lies."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardmine.trainers import onnx_export
from hardmine.trainers.detection.exports import onnx_crops
from hardmine.trainers.detection.meta_architectures.crops import position_sensitive
from hardmine.trainers.graph_form import light_form
from hardmine.trainers.runtime.choice import open_graph

DEPTH = 5
RUNTIMES = ["onnxruntime", "openvino"]
FEATURES = tf.TensorSpec([None, None, None, DEPTH], tf.float32, name="features")
BOXES = tf.TensorSpec([None, 4], tf.float32, name="boxes")


def crops(features, boxes, size, averaged=False):
  """Of all boxes from every map; [maps * P, *size, d], or the means over points."""
  maps = tf.shape(features)[0]
  index = tf.repeat(tf.range(maps), tf.shape(boxes)[0])
  found = tf.image.crop_and_resize(
    features, tf.tile(boxes, tf.stack([maps, 1])), index, size
  )
  return tf.reduce_mean(found, axis=(1, 2)) if averaged else found


@functools.cache
def model_of(size, boxes_inside, averaged=False):
  def function(features, boxes):
    return {"crops": crops(features, boxes, size, averaged)}

  handlers = onnx_crops.handlers(boxes_inside)
  model = onnx_export.to_onnx(function, [FEATURES, BOXES], handlers=handlers)
  operations = [node.op_type for node in model.graph.node]
  assert operations.count("RoiAlign") == 1
  assert "Loop" not in operations
  return model.SerializeToString()


@functools.cache
def graph(runtime, *how):
  pytest.importorskip(runtime)
  return open_graph(model_of(*how), runtime)


def ran(runtime, features, boxes, *how):
  given = {"features": features, "boxes": boxes}
  return graph(runtime, *how).run(given)["crops"].numpy()


def maps(seed, rows, columns, num=2):
  shape = (num, rows, columns, DEPTH)
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def off_the_border(boxes, rows, columns, size):
  """Moves boxes of which rounding decides whether a point is on the map."""
  for axis, (sides, num) in enumerate(zip((rows, columns), size)):
    shares = np.linspace(0, 1, num) if num > 1 else np.array([0.5])
    first, last = (boxes[:, edge, np.newaxis] for edge in (axis, axis + 2))
    at = (first + (last - first) * shares) * (sides - 1)
    near = np.minimum(np.abs(at), np.abs(at - (sides - 1))).min(axis=1) < 1e-3
    boxes[near] = [0.2, 0.3, 0.7, 0.6]
  return boxes


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("size", [(4, 7), (1, 1), (1, 3)])
def test_inside_across_and_beyond_the_border(runtime, size):
  @settings(max_examples=25, deadline=None, derandomize=True)
  @given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(2, 12),
    st.sampled_from([(0, 1), (-0.5, 1.5), (-30, 30)]),
  )
  @example(0, 1, 2, (-0.5, 1.5))
  def check(seed, rows, columns, reach):
    boxes = np.random.default_rng(seed).uniform(*reach, (40, 4)).astype(np.float32)
    if rows > 1:
      boxes = off_the_border(boxes, rows, columns, size)
    else:  # all points of a side of one position are on it
      boxes = off_the_border(boxes, columns, columns, size)
    features = maps(seed, rows, columns)
    expected = crops(features, boxes, size)
    found = ran(runtime, features, boxes, size, False)
    np.testing.assert_allclose(found, expected, atol=1e-4)

  check()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("size", [(14, 14), (3, 3), (1, 1)])
def test_boxes_known_to_lie_inside_need_no_mask(runtime, averaged, size):
  boxes = np.random.default_rng(1).uniform(1e-6, 1 - 1e-6, (60, 4)).astype(np.float32)
  features = maps(2, 9, 13)
  expected = crops(features, boxes, size, averaged)
  found = ran(runtime, features, boxes, size, True, averaged)
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("boxes_inside", [False, True])
def test_boxes_that_are_none_give_numbers(runtime, boxes_inside):
  inf, nan = np.inf, np.nan
  boxes = np.float32(
    [
      [0, 0, 0, 0],
      [0.5, 0.5, 0.5, 0.5],
      [0.7, 0.8, 0.2, 0.1],  # upside down: the crop is, too
      [nan, nan, nan, nan],
      [-inf, -inf, inf, inf],
      [0.1, nan, inf, 0.3],
      [1e30, -1e30, 1e38, 1e-30],
    ]
  )
  features = maps(3, 6, 5)
  found = ran(runtime, features, boxes, (4, 7), boxes_inside)
  assert np.isfinite(found).all()
  found = found.reshape(2, len(boxes), 4, 7, DEPTH)[:, :3]
  expected = np.reshape(crops(features, boxes[:3], (4, 7)), found.shape)
  np.testing.assert_allclose(found, expected, atol=1e-4)


@functools.cache
def pooling_model(bins, crop_px):
  def function(features, boxes):
    return {"pooled": position_sensitive(features, boxes[tf.newaxis], bins, crop_px)}

  shape = [1, None, None, bins**2 * DEPTH]
  signature = [tf.TensorSpec(shape, tf.float32, name="features"), BOXES]
  with light_form():
    model = onnx_export.to_onnx(
      function, signature, handlers=onnx_crops.handlers(boxes_inside=True)
    )
  assert [node.op_type for node in model.graph.node].count("RoiAlign") == 1
  return model.SerializeToString()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("bins", "crop_px"), [(3, 12), (7, 21), (1, 4), (2, 2)])
def test_position_sensitive_pooling(runtime, bins, crop_px):
  pytest.importorskip(runtime)
  network = open_graph(pooling_model(bins, crop_px), runtime)
  rng = np.random.default_rng(4)
  boxes = rng.uniform(0, 1, (50, 4)).astype(np.float32)
  boxes[:5] = [[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0.5, 1, 0.5], [0, 0, 0, 1]]
  for rows, columns in [(9, 13), (1, 2), (20, 6)]:
    maps = rng.normal(size=(1, rows, columns, bins**2 * DEPTH)).astype(np.float32)
    found = network.run({"features": maps, "boxes": boxes})["pooled"].numpy()
    expected = np.asarray(position_sensitive(maps, boxes[np.newaxis], bins, crop_px))
    np.testing.assert_allclose(found, expected, atol=1e-4)
