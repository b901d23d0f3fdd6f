"""Annotated images to training batches: decode, augment, prepare, pad.

records ─> shuffled ─> decoded (trainers/images) ─> augmented ─> prepared ─> batched

`augmented` and `prepared` are the meta-architecture's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas import coco_example
from hardmine.schemas.config import require
from hardmine.trainers.images import decode_rgb

CACHED_IMAGES = 5_000  # files as they came: about 1 GB
SHUFFLED_IMAGES = 5_000


def read_images(paths: Iterable[str | os.PathLike]) -> tf.data.Dataset:
  """Parsed records (`coco_example.parse`) in order of file name and place.

  Each also has its `index`, int64 [], counted from 0.
  """
  files = sorted(str(path) for path in paths)
  require(bool(files), "at least one TFRecord", paths=files)
  records = tf.data.TFRecordDataset(files, compression_type="GZIP")
  return records.enumerate().map(
    lambda index, record: {**coco_example.parse(record), "index": index}
  )


def count_images(images: tf.data.Dataset) -> int:
  """How many there are; reads them all once."""
  return int(images.reduce(np.int64(0), lambda count, _: count + 1))


def training_batches(
  images: tf.data.Dataset,
  num_images: int,
  *,
  prepared: Callable[[Any], Any],
  augmented: Callable[..., tuple[Any, Any, Any, Any]] | None,
  batch_size: int,
  max_boxes: int,
  seed: int,
  first_step: int,
) -> tf.data.Dataset:
  """Batches, the same from any step on, however often one resumes.

  Args:
    images: of `read_images`.
    num_images: how many those are.
    prepared: from pixels, uint8 [h, w, 3], to what the network takes.
    augmented: see `MetaArchitecture.augmented`; None shows images as they are.
    batch_size: images in a batch; batches run on over the end of a pass.
    max_boxes: objects kept of one image.
    seed: of the shuffles and of every image's crops.
    first_step: batches already consumed; they are drawn again and not decoded.

  Returns:
    Endless (inputs, annotations as `MetaArchitecture.batch_loss` wants them).
  """
  require(num_images > 0, "at least one image", num_images=num_images)
  if num_images <= CACHED_IMAGES:
    images = images.cache()
  drawn = images.shuffle(
    min(num_images, SHUFFLED_IMAGES), seed=seed, reshuffle_each_iteration=True
  )
  drawn = drawn.repeat().enumerate().skip(first_step * batch_size)
  return (
    drawn.map(
      lambda number, image: example(
        image,
        prepared,
        max_boxes,
        augmented,
        seed=tf.stack([tf.constant(seed, tf.int64), number]) if augmented else None,
      ),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    )
    .batch(batch_size, drop_remainder=True)
    .prefetch(2)
  )


def validation_batches(
  images: tf.data.Dataset,
  *,
  prepared: Callable[[Any], Any],
  batch_size: int,
  max_boxes: int,
) -> tf.data.Dataset:
  """Every image once, in order, as it is."""
  return images.map(
    lambda image: example(image, prepared, max_boxes),
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=True,
  ).batch(batch_size)


def example(
  image: dict[str, Any],
  prepared: Callable[[Any], Any],
  max_boxes: int,
  augmented: Callable[..., tuple[Any, Any, Any, Any]] | None = None,
  seed: Any = None,
) -> tuple[Any, dict[str, Any]]:
  """One record to (an input, annotations)."""
  pixels = tf.ensure_shape(
    tf.numpy_function(decode_rgb, [image["encoded"]], tf.uint8), [None, None, 3]
  )
  boxes, labels, is_crowd = (
    image["boxes_yxyx_norm"],
    image["labels"],
    image["is_crowd"],
  )
  if augmented is not None:
    pixels, boxes, labels, is_crowd = augmented(pixels, boxes, labels, is_crowd, seed)
  return prepared(pixels), {
    "boxes_yxyx_norm": _padded(tf.reshape(boxes, [-1, 4]), max_boxes),
    "labels": tf.cast(_padded(labels, max_boxes), tf.int32),
    "is_crowd": tf.cast(_padded(is_crowd, max_boxes), tf.int32),
    "index": image["index"],
  }


def _padded(values: Any, length: int) -> Any:
  """The first axis cut or filled with zeros to `length`."""
  values = values[:length]
  missing = length - tf.shape(values)[0]
  padding = [[0, missing], *[[0, 0]] * (values.shape.rank - 1)]
  return tf.ensure_shape(tf.pad(values, padding), [length, *values.shape[1:]])
