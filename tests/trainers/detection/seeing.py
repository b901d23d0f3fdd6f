"""Detectors that see something without having learned, and whether two see the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def seeing(model: Any) -> Any:
  """Random weights that keep their signal: boxes and scores differ everywhere."""
  rng = np.random.default_rng(0)
  for weight in model.weights:
    if weight.path.endswith("kernel"):
      is_depthwise = "conv_dw" in weight.path
      fan_in = np.prod(weight.shape[: 2 if is_depthwise else -1])
      sharp = "objectness" in weight.path or "second_stage" in weight.path
      scale = (8 if sharp else 1.4) / np.sqrt(fan_in)
      weight.assign(rng.normal(0, scale, weight.shape))
  return model


def moderate(model: Any, pixels: Any) -> Any:
  """Scales the heads: what they say of a batch differs by about 1 between places.

  Backbones without a norm would have all scores 0 or 1. Each head of an SSD is scaled
  by itself, or all of what the coarse maps say would be nearly equal.
  """
  predictors = [one for one in model.leaf_layers if one.name.startswith("predictor_")]
  if predictors:
    heads = [one for one in predictors if one.weights]
    said = keras.Model(model.input, [one.output for one in heads])(pixels)
    for layer, values in zip(heads, said):
      layer.kernel.assign(layer.kernel / np.std(np.asarray(values)))
    return model
  outputs = dict(model(pixels, training=False))
  rng = np.random.default_rng(1)
  corners = np.sort(rng.uniform(0, 1, (len(pixels), 20, 2, 2)), axis=2)
  second = model.second_stage(
    {
      "features": outputs["features"],
      "boxes_yxyx_norm": tf.constant(corners.reshape(-1, 20, 4), tf.float32),
    }
  )
  outputs = {
    **{
      f"proposals_{name}": outputs[name] for name in ("objectness_logits", "box_codes")
    },
    **{f"second_stage_{name}": values for name, values in second.items()},
  }
  for name, values in outputs.items():
    scale = 1 / np.std(np.asarray(values))
    for layer in model.leaf_layers:
      if layer.name.endswith(name) and layer.weights:
        layer.kernel.assign(layer.kernel * scale)
  return model


def pictures(sizes: Any) -> list[np.ndarray]:
  """Noise, coarse enough to look different from place to place."""
  rng = np.random.default_rng(4)
  return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def check_equal(found: Any, expected: Any, apart: float = 1e-5) -> None:
  """Boxes as near as floats are, in the same order but for equal scores.

  A thousandth of a pixel, and a ten-thousandth of where they are: sides are
  exponentials, by which small differences of sums grow. Scores are equal that are no
  farther `apart`.
  """
  assert len(found) == len(expected) > 0
  for name in vars(expected):
    assert getattr(found, name).dtype == getattr(expected, name).dtype
  np.testing.assert_allclose(found.scores, expected.scores, atol=apart)
  left = set(range(len(expected)))
  for index, score in enumerate(found.scores):
    equals = [place for place in left if abs(expected.scores[place] - score) < apart]
    places = [
      place
      for place in equals
      if expected.category_ids[place] == found.category_ids[index]
      and np.allclose(
        expected.boxes_yxyx_px[place], found.boxes_yxyx_px[index], atol=1e-3, rtol=1e-4
      )
    ]
    assert places, (index, score, found.boxes_yxyx_px[index])
    left.remove(places[0])
