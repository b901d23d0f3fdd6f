"""Annotated images to training batches: decode, augment, prepare, pad.

records ─> shuffled ─> decoded (trainers/images) ─> augmented ─> prepared ─> batched

`augmented` and `prepared` are the meta-architecture's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hardmine.schemas import coco_example
from hardmine.schemas.config import require
from hardmine.trainers.datasets import WHOLE_BATCH
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


class Stock(NamedTuple):
  """What images hold.

  Attributes:
    num_images: how many there are.
    most_objects: of one image.
    num_beyond: objects beyond the limit.
    images_beyond: images that have such.
    first_beyond: the file of the first of them; empty where there is none.
  """

  num_images: int
  most_objects: int
  num_beyond: int
  images_beyond: int
  first_beyond: str

  def room(self, least: int, limit: int | None) -> int:
    """Objects of one image to make room for, at least so many.

    With a limit there is one place more, for what it cuts.
    """
    wanted = self.most_objects if limit is None else limit + 1
    return max(least, min(self.most_objects, wanted))


def take_stock(images: tf.data.Dataset, limit: int | None = None) -> Stock:
  """Looks at every record once; `limit` as in `training_batches`."""
  learned = np.iinfo(np.int64).max if limit is None else limit

  def add(stock: Any, image: dict[str, Any]) -> Any:
    num = tf.size(image["labels"], tf.int64)
    beyond = tf.maximum(num - learned, 0)
    over = beyond > 0
    return (
      stock[0] + 1,
      tf.maximum(stock[1], num),
      stock[2] + beyond,
      stock[3] + tf.cast(over, tf.int64),
      tf.where(over & (stock[3] == 0), image["filename"], stock[4]),
    )

  start = (*(tf.zeros([], tf.int64) for _ in range(4)), tf.constant(""))
  num_images, most, num_beyond, images_beyond, first = images.reduce(start, add)
  return Stock(
    num_images=int(num_images),
    most_objects=int(most),
    num_beyond=int(num_beyond),
    images_beyond=int(images_beyond),
    first_beyond=first.numpy().decode(),
  )


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
  box_limit: int | None = None,
  rows: slice = WHOLE_BATCH,
) -> tf.data.Dataset:
  """Batches, the same from any step on, however often one resumes.

  Args:
    images: of `read_images`.
    num_images: how many those are.
    prepared: from pixels, uint8 [h, w, 3], to what the network takes.
    augmented: see `MetaArchitecture.augmented`; None shows images as they are.
    batch_size: images in a batch; batches run on over the end of a pass.
    max_boxes: room for the objects of one image, of `Stock.room`.
    seed: of the shuffles and of every image's crops.
    first_step: batches already consumed; they are drawn again and not decoded.
    box_limit: objects of one image to be learned; those behind become one crowd, in
      which nothing is background. None learns all.
    rows: of every batch; the others are not decoded.

  Returns:
    Endless (inputs, annotations as `MetaArchitecture.batch_loss` wants them), see
    `batched`.
  """
  require(num_images > 0, "at least one image", num_images=num_images)
  if num_images <= CACHED_IMAGES:
    images = images.cache()
  drawn = images.shuffle(
    min(num_images, SHUFFLED_IMAGES), seed=seed, reshuffle_each_iteration=True
  )
  drawn = drawn.repeat().enumerate().skip(first_step * batch_size)
  chosen = range(batch_size)[rows]
  if len(chosen) < batch_size:
    is_chosen = tf.constant([row in chosen for row in range(batch_size)])
    drawn = drawn.filter(
      lambda number, _: is_chosen[number % batch_size]  # pyright: ignore
    )
  examples = drawn.map(
    lambda number, image: example(
      image,
      prepared,
      max_boxes,
      augmented,
      seed=tf.stack([tf.constant(seed, tf.int64), number]) if augmented else None,
      box_limit=box_limit,
    ),
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=True,
  )
  return batched(examples, len(chosen), drop_remainder=True).prefetch(2)


def validation_batches(
  images: tf.data.Dataset,
  *,
  prepared: Callable[[Any], Any],
  batch_size: int,
  max_boxes: int,
) -> tf.data.Dataset:
  """Every image once, in order, as it is."""
  examples = images.map(
    lambda image: example(image, prepared, max_boxes),
    num_parallel_calls=tf.data.AUTOTUNE,
    deterministic=True,
  )
  return batched(examples, batch_size)


def batched(
  examples: tf.data.Dataset, batch_size: int, drop_remainder: bool = False
) -> tf.data.Dataset:
  """Batches of what `example` gives.

  Pictures of several sizes are filled with black at the bottom and the right, to the
  height and width of the largest in the batch, and their boxes become shares of that.
  """
  element: Any = examples.element_spec
  spec = element[0]
  if not isinstance(spec, tf.TensorSpec) or spec.shape.is_fully_defined():
    return examples.batch(batch_size, drop_remainder)

  def measured(pixels: Any, truth: dict[str, Any]) -> Any:
    return pixels, truth, tf.shape(pixels)[:2]

  def in_shares(pixels: Any, truth: dict[str, Any], sizes_px: Any) -> Any:
    shares = tf.cast(sizes_px / tf.shape(pixels)[1:3], tf.float32)
    scale = tf.concat([shares, shares], axis=1)[:, tf.newaxis]
    return pixels, {**truth, "boxes_yxyx_norm": truth["boxes_yxyx_norm"] * scale}

  padded = examples.map(measured).padded_batch(
    batch_size, drop_remainder=drop_remainder
  )
  return padded.map(in_shares)


def example(
  image: dict[str, Any],
  prepared: Callable[[Any], Any],
  max_boxes: int,
  augmented: Callable[..., tuple[Any, Any, Any, Any]] | None = None,
  seed: Any = None,
  box_limit: int | None = None,
) -> tuple[Any, dict[str, Any]]:
  """One record to (an input, annotations); fails where there is no room for them."""
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
  boxes = tf.reshape(boxes, [-1, 4])
  if box_limit is not None:
    boxes, labels, is_crowd = _limited(boxes, labels, is_crowd, box_limit)
  return prepared(pixels), {
    "boxes_yxyx_norm": _padded(boxes, max_boxes),
    "labels": tf.cast(_padded(labels, max_boxes), tf.int32),
    "is_crowd": tf.cast(_padded(is_crowd, max_boxes), tf.int32),
    "index": image["index"],
  }


def _limited(
  boxes: Any, labels: Any, is_crowd: Any, limit: int
) -> tuple[Any, Any, Any]:
  """The first objects as they are, and a crowd around all others, if there are any.

  An anchor that would answer for one of those lies at least half inside it.
  """
  kept, rest = boxes[:limit], boxes[limit:]
  corners = (tf.reduce_min(rest[:, :2], 0), tf.reduce_max(rest[:, 2:], 0))
  around = tf.concat(corners, 0)[tf.newaxis][: tf.shape(rest)[0]]
  return (
    tf.concat([kept, around], 0),
    labels[: limit + 1],
    tf.concat([is_crowd[:limit], tf.ones_like(is_crowd[limit : limit + 1])], 0),
  )


def _padded(values: Any, length: int) -> Any:
  """The first axis filled with zeros to `length`; fails where it is longer."""
  missing = length - tf.shape(values)[0]
  padding = [[0, missing], *[[0, 0]] * (values.shape.rank - 1)]
  return tf.ensure_shape(tf.pad(values, padding), [length, *values.shape[1:]])
