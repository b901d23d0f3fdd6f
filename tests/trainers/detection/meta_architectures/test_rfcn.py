"""R-FCN is Faster R-CNN but for its second stage."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.meta_architectures.crops import crop_and_resize
from hardmine.trainers.detection.meta_architectures.rfcn import RFCN
from tests.trainers.detection.seeing import seeing
from tests.trainers.detection.tiny_two_stages import BINNED

BOXES = tf.constant([[[0.1, 0.2, 0.7, 0.9], [0.0, 0.0, 1.0, 1.0]]])


@pytest.fixture(scope="module")
def features():
  generator = np.random.default_rng(0)
  return tf.constant(generator.normal(size=(1, 12, 14, 48)).astype(np.float32))


def test_one_bin_is_its_plain_form(features):
  """The mean of a crop of score maps, as every fully convolutional classifier has."""
  model = seeing(RFCN(dataclasses.replace(BINNED, bins=1, crop_px=6), 3))
  found = model.second_stage({"features": features, "boxes_yxyx_norm": BOXES})
  for name in ("class_logits", "box_codes"):
    layer = model.second_stage.get_layer(f"second_stage_{name}")
    plain = _of_layer(model, layer, features)
    mean = tf.reduce_mean(crop_and_resize(plain, BOXES, 6), axis=(2, 3))
    np.testing.assert_allclose(
      found[name].numpy().reshape(mean.shape), mean, atol=1e-4, rtol=1e-4
    )


def _of_layer(model, layer, features):
  maps = keras.Model(model.second_stage.input, layer.output)
  return maps({"features": features, "boxes_yxyx_norm": BOXES})


def test_its_map_is_made_once_however_many_proposals_there_are(features):
  """Weights of the second stage see positions of the map, never a crop."""
  model = RFCN(BINNED, 3)
  shapes = {
    layer.name: layer.output.shape
    for layer in model.second_stage.layers
    if layer.weights
  }
  assert shapes["reduced_depth"] == (None, None, None, 32)
  assert shapes["second_stage_class_logits"][-1] == 9 * 4
  assert shapes["second_stage_box_codes"][-1] == 9 * 3 * 4
  few = model.second_stage({"features": features, "boxes_yxyx_norm": BOXES[:, :1]})
  many = model.second_stage({"features": features, "boxes_yxyx_norm": BOXES})
  np.testing.assert_allclose(
    few["class_logits"], many["class_logits"][:, :1], atol=1e-5
  )
