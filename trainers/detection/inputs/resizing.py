"""Photographs to the size that a network sees, on TensorFlow, also in graphs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hardmine.schemas.detector_config import KeptProportions, Resizer


def resized(pixels: Any, resizer: Resizer) -> Any:
  """Bilinear, float32 [..., rows, columns, 3] in [0, 255].

  Args:
    pixels: uint8 [h, w, 3] or [b, h, w, 3].
    resizer: says the size.
  """
  return tf.image.resize(pixels, size_px(pixels, resizer), "bilinear")


def size_px(pixels: Any, resizer: Resizer) -> Any:
  """What `Resizer.size_px` says of a picture whose size a running graph knows."""
  if not isinstance(resizer, KeptProportions):
    return resizer.size_px(0, 0)
  sides = tf.cast(tf.shape(pixels)[-3:-1], tf.int64)
  shorter, longer = tf.reduce_min(sides), tf.reduce_max(sides)
  least, most = (
    tf.constant(side, tf.int64) for side in (resizer.min_side_px, resizer.max_side_px)
  )
  fits = longer * least <= most * shorter
  numerator, denominator = (
    tf.where(fits, least, most),
    tf.where(fits, shorter, longer),
  )
  size = (2 * sides * numerator + denominator) // (2 * denominator)
  return tf.cast(tf.maximum(size, 1), tf.int32)


def spec(resizer: Resizer) -> tf.TensorSpec:
  """Of one picture: [rows, columns, 3], None where its own proportions decide."""
  if isinstance(resizer, KeptProportions):
    return tf.TensorSpec([None, None, 3], tf.float32)
  return tf.TensorSpec([*resizer.size_px(0, 0), 3], tf.float32)
