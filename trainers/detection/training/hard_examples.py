"""Which examples of an image training looks at: the ones it gets most wrong.

SSD keeps the worst negatives beside all positives (1512.02325, section 2.2); box
classifiers keep the worst proposals whatever they are (1604.03540). The authors of
1611.10012 drop near duplicates before they count, or one mistake would be learned
many times.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.devices import on_accelerator


def hard_examples(
  classification_loss: Any, positive: Any, weights: Any, negatives_per_positive: float
) -> Any:
  """Which anchors count: all positives, and the worst negatives of the same image.

  Args:
    classification_loss: float [batch, N].
    positive: bool [batch, N].
    weights: float [batch, N]; anchors of weight 0 never count.
    negatives_per_positive: at most so many negatives, rounded down, for every
      positive: an image without objects has none. 0 keeps all negatives of all
      images.

  Returns:
    float32 [batch, N] of 0 and 1. Of equal losses the first anchor counts.
  """
  counts = weights > 0
  if negatives_per_positive == 0:
    return ops.cast(counts, "float32")
  negative = counts & ~positive
  loss = ops.stop_gradient(ops.cast(classification_loss, "float32"))
  # Losses are 0 or more, so the others come last. A threshold at the last loss kept
  # would do without ranks, but a fresh network has thousands of equal losses.
  order = ops.argsort(ops.where(negative, -loss, 1.0), axis=-1)
  rank = ops.cast(ops.argsort(order, axis=-1), "float32")  # exact below 2^24
  positive = counts & positive
  num_positives = ops.sum(ops.cast(positive, "float32"), axis=-1, keepdims=True)
  wanted = ops.floor(negatives_per_positive * num_positives)
  return ops.cast(positive | (negative & (rank < wanted)), "float32")


def worst_distinct(
  boxes_yxyx: Any, loss: Any, counts: Any, duplicate_iou: float, num: int
) -> Any:
  """The boxes of the highest losses, none nearly the same as a worse one.

  The box of the highest loss stays, all that overlap it by more than `duplicate_iou`
  go, and so on with the worst of the rest until there are `num` (of equal losses the
  first). Nothing is learned through the choice.

  On a processor TensorFlow's kernel does it; what XLA compiles looks at a matrix of all
  pairs, with the same result. The kernel takes some 45 ms of processor time for the
  1,917 anchors of a 300-pixel SSD: a step of 8 pictures on MobileNet of width 0.75 took
  0.85 processor seconds instead of 0.48.

  Args:
    boxes_yxyx: float [batch, N, 4], in whatever unit.
    loss: float [batch, N], 0 or more.
    counts: bool [batch, N]; the others are not chosen and suppress nothing.
    duplicate_iou: in [0, 1].
    num: how many of an image are wanted; there may be fewer.

  Returns:
    float32 [batch, N] of 0 and 1.
  """
  boxes_yxyx, loss = (
    ops.stop_gradient(ops.cast(values, "float32")) for values in (boxes_yxyx, loss)
  )
  loss = ops.where(counts, loss, -1.0)
  begin, end = boxes_yxyx[..., :2], boxes_yxyx[..., 2:]
  # the kernel would turn inverted boxes round
  boxes_yxyx = ops.concatenate([begin, ops.maximum(begin, end)], axis=-1)
  has_kernel = keras.backend.backend() == "tensorflow" and not on_accelerator()
  choose = _by_kernel if has_kernel else _by_pairs
  return ops.stop_gradient(choose(boxes_yxyx, loss, duplicate_iou, num))


def _by_kernel(boxes: Any, loss: Any, duplicate_iou: float, num: int) -> Any:
  import tensorflow as tf

  def chosen(image: Any) -> Any:
    kept = tf.image.non_max_suppression(
      *image, num, duplicate_iou, score_threshold=-0.5
    )
    ones = tf.ones_like(kept, tf.float32)
    return tf.scatter_nd(kept[:, tf.newaxis], ones, tf.shape(image[1]))

  signature = tf.TensorSpec(loss.shape[1:], tf.float32)
  return tf.map_fn(chosen, (boxes, loss), fn_output_signature=signature)


def _by_pairs(boxes: Any, loss: Any, duplicate_iou: float, num: int) -> Any:
  order = ops.argsort(-loss, axis=1)  # stable
  boxes = ops.take_along_axis(boxes, ops.expand_dims(order, 2), axis=1)
  candidate = ops.take_along_axis(loss, order, axis=1) >= 0
  place = ops.arange(ops.shape(boxes)[1])
  worse = ops.expand_dims(place, 1) < ops.expand_dims(place, 0)  # [first, second]
  rivals = worse & (pairwise_iou(boxes, boxes) > duplicate_iou)
  rivals = rivals & ops.expand_dims(candidate, 2)

  # A box is settled when all its worse rivals are: kept if all of those went, gone if
  # one of them was kept. A chain of rivals takes a round each, and most have none.
  def settle(kept: Any, open_: Any) -> tuple[Any, Any]:
    beaten = ops.any(rivals & ops.expand_dims(kept, 2), axis=1)
    waits = ops.any(rivals & ops.expand_dims(open_ & ~beaten, 2), axis=1)
    return kept | (open_ & ~beaten & ~waits), open_ & ~beaten & waits

  kept, _ = ops.while_loop(
    lambda kept, open_: ops.any(open_),
    settle,
    (ops.zeros_like(candidate), candidate),
  )
  kept = kept & (ops.cumsum(ops.cast(kept, "int32"), axis=1) <= num)
  back = ops.argsort(order, axis=1)
  return ops.cast(ops.take_along_axis(kept, back, axis=1), "float32")
