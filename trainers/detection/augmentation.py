"""Random crops and flips of annotated images (1512.02325, section 2.2).

The variant of the authors of 1611.10012: a crop need not cover a box by IoU, but
some box by a share of that box, and only boxes that it covers by this share remain.
Everything is a pure function of a seed, so that an input pipeline can resume.

A window does not depend on pixels. A pipeline may draw it first and decode only that
part of a JPEG (`tf.image.decode_and_crop_jpeg`).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hardmine.trainers.detection.boxes import (
  area,
  clip,
  flip_horizontal,
  pairwise_intersection,
)

MIN_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # one is drawn for every image
WHOLE_IMAGE_PROBABILITY = 0.15
ASPECT_RATIO = (0.5, 2.0)  # width over height of the crop, in pixels
AREA = (0.1, 1.0)  # a share of the image
ATTEMPTS = 100
FLIP_PROBABILITY = 0.5
ROUNDING = 1e-5  # a box inside the window must count as covered


def ssd_augment(
  image: Any, boxes_yxyx_norm: Any, labels: Any, is_crowd: Any, seed: Any
) -> tuple[Any, Any, Any, Any]:
  """Crops at random, then flips every other image.

  Args:
    image: [h, w, 3] of any type.
    boxes_yxyx_norm: float32 [n, 4]; n may be 0.
    labels: [n].
    is_crowd: [n].
    seed: int64 [2]; equal seeds give equal results.

  Returns:
    Image [h', w', 3], boxes in its frame, float32 [m, 4] inside [0, 1], labels [m]
    and is_crowd [m], m <= n.
  """
  crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
  window_px, boxes_yxyx_norm, labels, is_crowd = crop_window(
    boxes_yxyx_norm, labels, is_crowd, tf.shape(image), crop_seed
  )
  y, x, height, width = tf.unstack(window_px)
  image = image[y : y + height, x : x + width]
  image, boxes_yxyx_norm = random_flip(image, boxes_yxyx_norm, flip_seed)
  return image, boxes_yxyx_norm, labels, is_crowd


def crop_window(
  boxes_yxyx_norm: Any, labels: Any, is_crowd: Any, image_shape: Any, seed: Any
) -> tuple[Any, Any, Any, Any]:
  """Draws a crop and says what it shows.

  One of `MIN_COVERED` is drawn, and then a window that covers at least this share of
  at least one box, crowds included; the whole image where 100 attempts find none or,
  with a probability of 0.15, without an attempt. Boxes remain of which the window
  covers this share or more, and for a share of 0 those that it touches. Boxes
  without area inside the image never remain.

  Args:
    boxes_yxyx_norm: float32 [n, 4]; n may be 0, and any window will do.
    labels: [n].
    is_crowd: [n].
    image_shape: int [2] or [3], height and width in pixels.
    seed: int64 [2].

  Returns:
    The window as int32 [4] pixels, (y, x, height, width), and boxes, labels and
    is_crowd as it shows them: clipped to it and in its frame.
  """
  choice_seed, whole_seed, window_seed = tf.unstack(tf.random.split(seed, 3))
  size_px = tf.cast(image_shape, tf.int32)[:2]
  boxes_yxyx_norm = clip(tf.reshape(boxes_yxyx_norm, [-1, 4]))
  choice = tf.random.stateless_uniform(
    [], choice_seed, 0, len(MIN_COVERED), dtype=tf.int32
  )
  min_covered = tf.gather(tf.constant(MIN_COVERED), choice)
  begin_px, extent_px, _ = tf.image.stateless_sample_distorted_bounding_box(
    tf.concat([size_px, [3]], 0),
    boxes_yxyx_norm[tf.newaxis],
    window_seed,
    min_object_covered=min_covered,
    aspect_ratio_range=ASPECT_RATIO,
    area_range=AREA,
    max_attempts=ATTEMPTS,
    use_image_if_no_bounding_boxes=True,
  )
  whole = tf.random.stateless_uniform([], whole_seed) < WHOLE_IMAGE_PROBABILITY
  begin_px = tf.where(whole, [0, 0], begin_px[:2])
  extent_px = tf.where(whole, size_px, extent_px[:2])

  begin, end = (
    tf.cast(corner_px, tf.float32) / tf.cast(size_px, tf.float32)
    for corner_px in (begin_px, begin_px + extent_px)
  )
  window = tf.concat([begin, end], 0)
  inside = pairwise_intersection(boxes_yxyx_norm, window[tf.newaxis])[:, 0]
  share = tf.math.divide_no_nan(inside, area(boxes_yxyx_norm))
  kept = tf.logical_and(inside > 0, share >= min_covered - ROUNDING)
  origin, scale = (tf.concat([v, v], 0) for v in (begin, end - begin))
  framed = clip((boxes_yxyx_norm - origin) / scale)
  return (
    tf.concat([begin_px, extent_px], 0),
    *(tf.boolean_mask(values, kept) for values in (framed, labels, is_crowd)),
  )


def random_flip(image: Any, boxes_yxyx_norm: Any, seed: Any) -> tuple[Any, Any]:
  """Mirrors image [h, w, c] and boxes [n, 4] left to right in every other case."""
  flips = tf.random.stateless_uniform([], seed) < FLIP_PROBABILITY
  return (
    tf.cond(flips, lambda: tf.reverse(image, [1]), lambda: image),
    tf.where(flips, flip_horizontal(boxes_yxyx_norm), boxes_yxyx_norm),
  )
