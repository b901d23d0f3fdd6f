"""Random crops, flips, zooms and colours of annotated images.

A crop is that of the authors of 1611.10012 (after 1512.02325, section 2.2): it need
not cover a box by IoU, but some box by a share of that box, and only boxes that it
covers by this share remain. Zooms and colours are those of SSD's later training, which
the study did not use.
Everything is a pure function of a seed, so that an input pipeline can resume.

A window does not depend on pixels. A pipeline may draw it first and decode only that
part of a JPEG (`tf.image.decode_and_crop_jpeg`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas.training_config import AugmentationConfig
from hardmine.trainers.detection.geometry.boxes import (
  area,
  clip,
  flip_horizontal,
  pairwise_intersection,
)

MIN_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # one is drawn for every image
SSD_CROP = 0.85  # share of the images that are cropped
ATTEMPTS = 100
ROUNDING = 1e-5  # a box inside the window must count as covered
MEAN_COLOUR = (124, 117, 104)  # of ImageNet's pictures
_AS_USUAL = AugmentationConfig()
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue


def augment(
  image: Any,
  boxes_yxyx_norm: Any,
  labels: Any,
  is_crowd: Any,
  seed: Any,
  settings: AugmentationConfig = _AS_USUAL,
  usual_crop: float = SSD_CROP,
) -> tuple[Any, Any, Any, Any]:
  """Zooms out, crops, flips and colours, each at random.

  Args:
    image: uint8 [h, w, 3].
    boxes_yxyx_norm: float32 [n, 4]; n may be 0.
    labels: [n].
    is_crowd: [n].
    seed: int64 [2]; equal seeds give equal results.
    settings: what is done, and how often.
    usual_crop: share of the images that are cropped where the settings do not say.

  Returns:
    Image uint8 [h', w', 3], boxes in its frame, float32 [m, 4] inside [0, 1], labels
    [m] and is_crowd [m], m <= n.
  """
  crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
  zoom_seed, colour_seed = (
    tf.random.experimental.stateless_fold_in(seed, number) for number in (1, 2)
  )
  crop = usual_crop if settings.crop is None else settings.crop
  image = tf.convert_to_tensor(image)
  boxes_yxyx_norm = tf.reshape(boxes_yxyx_norm, [-1, 4])
  if settings.zoom_out:
    image, boxes_yxyx_norm = zoom_out(image, boxes_yxyx_norm, zoom_seed, settings)
  if crop:
    window_px, boxes_yxyx_norm, labels, is_crowd = crop_window(
      boxes_yxyx_norm, labels, is_crowd, tf.shape(image), crop_seed, settings, crop
    )
    y, x, height, width = tf.unstack(window_px)
    image = image[y : y + height, x : x + width]
  if settings.flip:
    image, boxes_yxyx_norm = random_flip(
      image, boxes_yxyx_norm, flip_seed, settings.flip
    )
  if settings.colour:
    image = recolour(image, colour_seed, settings)
  return image, boxes_yxyx_norm, labels, is_crowd


def crop_window(
  boxes_yxyx_norm: Any,
  labels: Any,
  is_crowd: Any,
  image_shape: Any,
  seed: Any,
  settings: AugmentationConfig = _AS_USUAL,
  crop: float = SSD_CROP,
) -> tuple[Any, Any, Any, Any]:
  """Draws a crop and says what it shows.

  One of `MIN_COVERED` is drawn, and then a window that covers at least this share of
  at least one box, crowds included; the whole image where 100 attempts find none, or
  without an attempt for the share of images that is not cropped. Boxes remain of
  which the window covers this share or more, and for a share of 0 those that it
  touches. Boxes without area inside the image never remain.

  Args:
    boxes_yxyx_norm: float32 [n, 4]; n may be 0, and any window will do.
    labels: [n].
    is_crowd: [n].
    image_shape: int [2] or [3], height and width in pixels.
    seed: int64 [2].
    settings: give the window's areas and proportions.
    crop: share of the images that are cropped.

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
    aspect_ratio_range=settings.crop_aspect_ratios,
    area_range=settings.crop_areas,
    max_attempts=ATTEMPTS,
    use_image_if_no_bounding_boxes=True,
  )
  whole = tf.random.stateless_uniform([], whole_seed) < 1 - crop
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


def random_flip(
  image: Any, boxes_yxyx_norm: Any, seed: Any, share: float = 0.5
) -> tuple[Any, Any]:
  """Mirrors a share of images [h, w, c] and boxes [n, 4] left to right."""
  flips = tf.random.stateless_uniform([], seed) < share
  return (
    tf.cond(flips, lambda: tf.reverse(image, [1]), lambda: image),
    tf.where(flips, flip_horizontal(boxes_yxyx_norm), boxes_yxyx_norm),
  )


def zoom_out(
  image: Any, boxes_yxyx_norm: Any, seed: Any, settings: AugmentationConfig
) -> tuple[Any, Any]:
  """Makes a share of the images smaller, on a ground of `MEAN_COLOUR`.

  The ground has the size that the image had: whatever the factor, an image of a camera
  needs no more memory than it did.

  Args:
    image: uint8 [h, w, 3].
    boxes_yxyx_norm: float32 [n, 4].
    seed: int64 [2].
    settings: how many, and how far.

  Returns:
    Image uint8 [h, w, 3] and boxes in its frame.
  """
  does_seed, factor_seed, place_seed = tf.unstack(tf.random.split(seed, 3))
  does = tf.random.stateless_uniform([], does_seed) < settings.zoom_out
  factor = tf.random.stateless_uniform([], factor_seed, 1, settings.zoom_out_max)
  size_px = tf.shape(image)[:2]
  small_px = tf.maximum(1, tf.cast(tf.cast(size_px, tf.float32) / factor, tf.int32))
  room_px = tf.cast(size_px - small_px + 1, tf.float32)
  place = tf.random.stateless_uniform([2], place_seed)
  begin_px = tf.minimum(tf.cast(place * room_px, tf.int32), size_px - small_px)

  def smaller() -> tuple[Any, Any]:
    seen = _rounded(tf.image.resize(image, small_px, antialias=True))
    ground = tf.constant(MEAN_COLOUR, tf.uint8)
    ends = size_px - begin_px - small_px
    around = [[begin_px[0], ends[0]], [begin_px[1], ends[1]], [0, 0]]
    is_seen = tf.pad(tf.ones_like(seen[:, :, :1], tf.bool), around)
    canvas = tf.where(is_seen, tf.pad(seen, around), ground)
    begin, scale = (
      tf.tile(tf.cast(px, tf.float32) / tf.cast(size_px, tf.float32), [2])
      for px in (begin_px, small_px)
    )
    return canvas, clip(boxes_yxyx_norm * scale + begin)

  return tf.cond(does, smaller, lambda: (image, boxes_yxyx_norm))


def recolour(image: Any, seed: Any, settings: AugmentationConfig) -> Any:
  """Changes a share of images uint8 [h, w, 3] in brightness, contrast and colour.

  All four are one linear function of a pixel's red, green and blue: hue turns about the
  axis of greys, as others do too that have no time for HSV.
  """
  does_seed, draw_seed = tf.unstack(tf.random.split(seed, 2))
  draws = tf.unstack(tf.random.stateless_uniform([4], draw_seed, -1, 1))
  brightness, contrast, saturation, turn = (
    draw * most
    for draw, most in zip(
      draws,
      (
        255 * settings.brightness,
        settings.contrast,
        settings.saturation,
        2 * math.pi * settings.hue,
      ),
    )
  )

  def changed() -> Any:
    pixels = tf.reshape(tf.cast(image, tf.float32), [-1, 3])
    mean = tf.reduce_mean(pixels, axis=0)
    colour = tf.matmul(_saturated(1 + saturation), _turned(turn))
    # contrast leaves the mean where hue and saturation bring it
    shift = brightness - contrast * tf.linalg.matvec(colour, mean, transpose_a=True)
    pixels = tf.matmul(pixels, (1 + contrast) * colour) + shift
    return tf.reshape(_rounded(pixels), tf.shape(image))

  does = tf.random.stateless_uniform([], does_seed) < settings.colour
  return tf.cond(does, changed, lambda: image)


def _saturated(factor: Any) -> Any:
  """[3, 3], from the right of a row of red, green, blue: away from its grey."""
  grey = tf.constant(np.tile(np.array(_GREY, np.float32)[:, np.newaxis], 3))
  return factor * tf.eye(3) + (1 - factor) * grey


def _turned(angle: Any) -> Any:
  """[3, 3], from the right likewise: about the axis on which all three are equal."""
  axis = tf.fill([3, 3], 1 / 3)
  root = math.sqrt(1 / 3)
  across = tf.constant(
    np.array([[0, root, -root], [-root, 0, root], [root, -root, 0]], np.float32)
  )
  return tf.cos(angle) * (tf.eye(3) - axis) + axis + tf.sin(angle) * across


def _rounded(pixels: Any) -> Any:
  return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
