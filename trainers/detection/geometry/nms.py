"""From overlapping predictions to detections (1611.10012, section 3.1).

Greedy suppression: the best box stays, every box that overlaps it by more than the
threshold goes, and so on with the best of the rest. Among equal scores the order is
box, then category, here and in `suppression`, which does the same without TensorFlow;
this one runs inside the exported graph.

Per category it is `combined_non_max_suppression`, whose own order among equal scores is
that of a heap and of an unstable sort. So it is given keys, each its own, in the place
of scores: at first for the best thousand alone, which almost always hold all that is
kept. A loop of single suppressions gave equal results in a hundred times its time.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection.geometry.boxes import area, clip
from hardmine.trainers.detection.geometry.suppression import MIN_AREA

_FIRST_LOOK = 1024  # candidates
_NONE = -1.0  # the score of what is no candidate
_LARGEST = 0x7F7FFFFF  # the bits of the largest float32


def detections(
  boxes_yxyx_norm: Any, scores: Any, config: PostprocessingConfig
) -> tuple[Any, Any, Any, Any]:
  """What a batch of images shows.

  Scores have to exceed the score threshold. Boxes without area inside the image
  (`MIN_AREA`), or with a coordinate that is not finite, are dropped first and suppress
  nothing; the others overlap as they are and are clipped at the end.

  Class-agnostic suppression gives every box its best category (the first of equals)
  and lets all compete; `max_per_class` then has no meaning.

  Args:
    boxes_yxyx_norm: float32 [batch, N, 4] where all categories share them,
      [batch, N, C, 4] where each has its own.
    scores: float32 [batch, N, C] in [0, 1], without the background.
    config: thresholds and limits.

  Returns:
    With n = `config.max_detections`, whatever is found: boxes_yxyx_norm float32
    [batch, n, 4] in [0, 1], scores float32 [batch, n] falling, labels int32
    [batch, n] from 1 to C, and how many there are, int32 [batch]. All three are 0
    behind that many.
  """
  boxes_yxyx_norm, scores = map(tf.convert_to_tensor, (boxes_yxyx_norm, scores))
  visible = tf.reduce_all(tf.math.is_finite(boxes_yxyx_norm), axis=-1)
  visible &= area(clip(boxes_yxyx_norm)) >= MIN_AREA
  # Dropped boxes may hold numbers that break arithmetic even where nobody looks.
  boxes_yxyx_norm = tf.where(visible[..., tf.newaxis], boxes_yxyx_norm, 0.0)
  if visible.shape.rank == 2:
    visible = visible[..., tf.newaxis]
  scores = tf.where(visible & (scores > config.score_threshold), scores, _NONE)
  suppress = _across_categories if config.class_agnostic else _per_category
  return suppress(boxes_yxyx_norm, scores, config)


def _per_category(boxes: Any, scores: Any, config: PostprocessingConfig) -> Any:
  flat = tf.reshape(scores, [tf.shape(scores)[0], -1])
  num_candidates = tf.reduce_sum(tf.cast(flat > _NONE, tf.int32), axis=1)
  few = tf.minimum(_FIRST_LOOK, tf.shape(flat)[1])
  found = _of_the_best(few, boxes, scores, flat, config)
  # Whether any but those few could still be among what is kept.
  is_whole = (num_candidates <= few) | (found[-1] == config.max_detections)
  return tf.cond(
    tf.reduce_all(is_whole),
    lambda: found,
    lambda: _of_the_best(tf.shape(flat)[1], boxes, scores, flat, config),
  )


def _of_the_best(
  num: Any, boxes: Any, scores: Any, flat: Any, config: PostprocessingConfig
) -> Any:
  """What is kept of the so many best candidates [b, N * C] of every image."""
  best, places = tf.math.top_k(flat, num)  # of equals the first comes first
  falling = tf.bitcast(_LARGEST - tf.range(num), tf.float32)
  keys = tf.where(best > _NONE, falling, _NONE)
  images = tf.broadcast_to(tf.range(tf.shape(flat)[0])[:, tf.newaxis], tf.shape(best))
  keys = tf.tensor_scatter_nd_update(
    tf.fill(tf.shape(flat), _NONE), tf.stack([images, places], axis=-1), keys
  )
  boxes, keys, categories, num_found = tf.image.combined_non_max_suppression(
    boxes if boxes.shape.rank == 4 else boxes[:, :, tf.newaxis],
    tf.reshape(keys, tf.shape(scores)),
    max_output_size_per_class=config.max_per_class,
    max_total_size=config.max_detections,
    iou_threshold=config.iou_threshold,
    score_threshold=0.0,
    clip_boxes=True,
  )
  exists = tf.range(config.max_detections) < num_found[:, tf.newaxis]
  ranks = tf.where(exists, _LARGEST - tf.bitcast(keys, tf.int32), 0)
  scores = tf.where(exists, tf.gather(best, ranks, batch_dims=1), 0.0)
  labels = tf.where(exists, tf.cast(categories, tf.int32) + 1, 0)
  return boxes, scores, labels, num_found


def _across_categories(boxes: Any, scores: Any, config: PostprocessingConfig) -> Any:
  best = tf.argmax(scores, axis=2, output_type=tf.int32)
  labels, scores = best + 1, tf.reduce_max(scores, axis=2)
  if boxes.shape.rank == 4:
    boxes = tf.gather(boxes, best, batch_dims=2)
  size = config.max_detections

  def suppress(image: Any) -> Any:
    boxes, scores, labels = image
    kept = tf.image.non_max_suppression(
      boxes, scores, size, config.iou_threshold, config.score_threshold
    )
    num = tf.shape(kept)[0]
    found = (tf.gather(values, kept) for values in (clip(boxes), scores, labels))
    return *(_fill(values, size) for values in found), num

  signature = (
    tf.TensorSpec([size, 4], tf.float32),
    tf.TensorSpec([size], tf.float32),
    tf.TensorSpec([size], tf.int32),
    tf.TensorSpec([], tf.int32),
  )
  return tf.map_fn(suppress, (boxes, scores, labels), fn_output_signature=signature)


def _fill(values: Any, size: int) -> Any:
  """The first axis filled with zeros to `size`."""
  padding = [[0, size - tf.shape(values)[0]], *[[0, 0]] * (values.shape.rank - 1)]
  return tf.pad(values, padding)
