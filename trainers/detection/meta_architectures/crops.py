"""What a map of features shows inside boxes.

`crop_and_resize` samples a map at n x n points of every box. R-FCN has a map a bin, and
`position_sensitive` takes the mean over points of each bin from that bin's own map.
Point i of n lies at

    y = ymin (H - 1) + i (ymax - ymin) (H - 1) / (n - 1)

in rows of the map, from border to border of the box, and in its middle where n = 1; x
alike. Between positions of the map values are bilinear, beyond the map they are 0.
Boxes are given, nothing is learned through them.

A mean of bilinear samples is a weighted sum over a few positions of the map, and
weights of rows and of columns are independent. So `position_sensitive` samples nothing:
it multiplies a sparse matrix of those weights with the map.

On TensorFlow crops are `tf.image.crop_and_resize`; elsewhere two products with matrices
of weights, which accelerators are made for. `light_crop` and `light_pool` are what
light forms of models hold.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.graph_form import is_light

# Within so little of the map's border a box ends at this distance from it: rounding
# must not put its outermost points beyond.
BORDER = 1e-6


def crop_and_resize(features: Any, boxes_yxyx_norm: Any, crop_px: int) -> Any:
  """Crops of boxes, [batch, P, crop_px, crop_px, d].

  Args:
    features: float [batch, rows, columns, d].
    boxes_yxyx_norm: float [batch, P, 4], shares of the map; one without area gives the
      same point again and again.
    crop_px: side of a crop, in points.
  """
  boxes = _guarded(boxes_yxyx_norm)
  if is_light():
    return light_crop(features, boxes, crop_px)
  if keras.backend.backend() == "tensorflow":
    return _crop_by_tensorflow(features, boxes, crop_px)
  return _crop_by_products(features, boxes, crop_px)


def position_sensitive(
  features: Any, boxes_yxyx_norm: Any, bins: int, crop_px: int
) -> Any:
  """Means over all bins of boxes, each from its own channels, [batch, P, d].

  A box is divided into `bins` x `bins` parts, of `crop_px / bins` points a side each.

  Args:
    features: float [batch, rows, columns, bins * bins * d]: d channels of the first
      bin, then those of the next in its row.
    boxes_yxyx_norm: float [batch, P, 4], shares of the map.
    bins: parts of a side.
    crop_px: points of a side, a multiple of `bins`.
  """
  boxes = _guarded(boxes_yxyx_norm)
  if is_light():
    return light_pool(features, boxes, bins, crop_px // bins)
  if keras.backend.backend() == "tensorflow":
    return _pool_by_sparse_product(features, boxes, bins, crop_px // bins)
  return _pool_by_products(features, boxes, bins, crop_px // bins)


def light_crop(features: Any, boxes_yxyx_norm: Any, crop_px: int) -> Any:
  """`crop_and_resize` of boxes whose edges are off the border, for a light form.

  `onnx_crops` makes one operation of it.
  """
  return _crop_by_tensorflow(features, boxes_yxyx_norm, crop_px)


def light_pool(features: Any, boxes_yxyx_norm: Any, bins: int, num: int) -> Any:
  """`position_sensitive`, of `num` x `num` points a bin, for a light form.

  ONNX has no sparse product; there every bin is a box, and has a map of its own.
  """
  return _pool_by_crops(features, boxes_yxyx_norm, bins, num)


def _guarded(boxes: Any) -> Any:
  """Boxes whose edges at the map's border are a hair inside it; no gradient."""
  boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
  boxes = ops.where(ops.abs(boxes) < BORDER, BORDER, boxes)
  return ops.where(ops.abs(boxes - 1) < BORDER, 1 - BORDER, boxes)


def points(first: Any, last: Any, size: Any, bins: int, num: int) -> Any:
  """Where a side is sampled: float32 [..., bins, num], in positions of the map.

  Args:
    first: [...], where the side begins, as a share of the map.
    last: where it ends.
    size: positions of the map along the side.
    bins: parts of the side.
    num: points of a part; its two ends are among them, if there are two.
  """
  within = [i / (num - 1) for i in range(num)] if num > 1 else [0.5]
  shares = ops.convert_to_tensor(
    [[(part + at) / bins for at in within] for part in range(bins)], "float32"
  )
  first, last = (ops.expand_dims(end, (-1, -2)) for end in (first, last))
  return (first + (last - first) * shares) * ops.cast(size - 1, "float32")


def _weights(at: Any, positions: Any, size: Any) -> Any:
  """How much of each position a point takes: 1 at it, 0 from the next one on.

  Args:
    at: points, [..., 1].
    positions: [..., n] of the map, whole numbers as floats.
    size: positions that the map has; points beyond take nothing.
  """
  inside = (at >= 0) & (at <= ops.cast(size - 1, "float32"))
  share = ops.maximum(1 - ops.abs(at - positions), 0)
  return ops.where(inside, share, 0)


def _of_all_positions(first: Any, last: Any, size: Any, bins: int, num: int) -> Any:
  """Weights of a side's points, [..., bins, num, size]."""
  at = ops.expand_dims(points(first, last, size, bins, num), -1)
  return _weights(at, ops.arange(size, dtype="float32"), size)


def _crop_by_tensorflow(features: Any, boxes: Any, crop_px: int) -> Any:
  import tensorflow as tf

  batch, num = tf.unstack(tf.shape(boxes)[:2])
  crops = tf.image.crop_and_resize(
    tf.cast(features, tf.float32),
    tf.reshape(boxes, [-1, 4]),
    tf.repeat(tf.range(batch), num),
    [crop_px, crop_px],
  )
  shape = [batch, num, crop_px, crop_px, features.shape[-1]]
  return tf.cast(tf.reshape(crops, shape), features.dtype)


def _crop_by_products(features: Any, boxes: Any, crop_px: int) -> Any:
  rows, columns = ops.shape(features)[1:3]
  ymin, xmin, ymax, xmax = ops.unstack(boxes, 4, axis=-1)
  down = _of_all_positions(ymin, ymax, rows, 1, crop_px)[..., 0, :, :]
  across = _of_all_positions(xmin, xmax, columns, 1, crop_px)[..., 0, :, :]
  return ops.einsum("bpiy,bpjx,byxd->bpijd", down, across, features)


def _pool_by_products(features: Any, boxes: Any, bins: int, num: int) -> Any:
  batch, rows, columns, depth = ops.shape(features)
  ymin, xmin, ymax, xmax = ops.unstack(boxes, 4, axis=-1)
  down = ops.mean(_of_all_positions(ymin, ymax, rows, bins, num), axis=-2)
  across = ops.mean(_of_all_positions(xmin, xmax, columns, bins, num), axis=-2)
  maps = ops.reshape(features, (batch, rows, columns, bins, bins, depth // bins**2))
  return ops.einsum("bpiy,bpjx,byxijd->bpd", down, across, maps) / bins**2


def _pool_by_sparse_product(features: Any, boxes: Any, bins: int, num: int) -> Any:
  """A row of the matrix is a box, a column a bin at a position of a map."""
  import tensorflow as tf

  shape = tf.cast(tf.shape(features)[:3], tf.int64)
  batch, rows, columns = tf.unstack(shape)
  num_boxes = tf.cast(tf.shape(boxes)[1], tf.int64)
  ymin, xmin, ymax, xmax = tf.unstack(tf.reshape(boxes, [-1, 4]), axis=-1)
  row, height, down = _of_window(ymin, ymax, rows, bins, num)
  column, width, across = _of_window(xmin, xmax, columns, bins, num)
  # What a bin touches in one row of its map is a run, [b * P, bins * window, bins]; few
  # operations see its single positions, as each costs as much as their product.
  box, part = tf.range(batch * num_boxes), tf.range(bins, dtype=tf.int64)
  y = tf.range(tf.cast(tf.shape(down)[2], tf.int64))
  size = tf.reduce_prod(shape) * bins**2
  above = (
    (box // num_boxes * rows)[:, tf.newaxis, tf.newaxis] + row[..., tf.newaxis] + y
  )
  above = (above * columns * bins + part[:, tf.newaxis]) * bins
  above += (box * size)[:, tf.newaxis, tf.newaxis]
  begin = _by_pairs(tf.add, above, column * bins**2 + part)
  exists = tf.cast(y < height[..., tf.newaxis], tf.int64)
  length = _by_pairs(tf.multiply, exists, width)
  shares = _by_pairs(tf.multiply, down, across)
  window = tf.cast(tf.shape(across)[2], tf.int64)
  values = _ranges(tf.range(tf.size(length, tf.int64)) * window, length, 1)
  matrix = tf.sparse.reshape(
    tf.SparseTensor(
      _ranges(begin, length, bins**2)[:, tf.newaxis],
      tf.gather(shares, values),
      [batch * num_boxes * size],
    ),
    [batch * num_boxes, size],
  )
  depth = features.shape[-1] // bins**2
  maps = tf.reshape(tf.cast(features, tf.float32), [-1, depth])
  pooled = tf.sparse.sparse_dense_matmul(matrix, maps) / bins**2
  pooled = tf.reshape(pooled, [batch, num_boxes, depth])
  return tf.cast(pooled, features.dtype)


def _by_pairs(combine: Any, first: Any, second: Any) -> Any:
  """Each of [n, a, b] with each of [n, ...], flat, of which the first vary slowest."""
  import tensorflow as tf

  num = tf.shape(first)[0]
  first, second = tf.reshape(first, [num, -1, 1]), tf.reshape(second, [num, 1, -1])
  return tf.reshape(combine(first, second), [-1])


def _ranges(begin: Any, length: Any, step: int) -> Any:
  """Ranges [n] behind one another, each of its own length."""
  import tensorflow as tf

  return tf.raw_ops.RaggedRange(
    starts=begin,
    limits=begin + length * step,
    deltas=tf.constant(step, tf.int64),
    Tsplits=tf.int64,
  ).rt_dense_values


def _of_window(first: Any, last: Any, size: Any, bins: int, num: int) -> Any:
  """The positions that the bins of a side touch.

  Returns:
    Int64 [n, bins]: the first of them, and how many follow one another; and how much
    of each the bin takes, float32 [n, bins, window], of which that many count.
  """
  import tensorflow as tf

  at = points(first, last, size, bins, num)
  end = tf.cast(size - 1, tf.float32)
  begin = tf.clip_by_value(tf.floor(tf.reduce_min(at, axis=-1)), 0.0, end)
  last = tf.clip_by_value(tf.math.ceil(tf.reduce_max(at, axis=-1)), begin, end)
  length = last - begin + 1
  window = tf.maximum(tf.reduce_max(length), 0)
  positions = tf.expand_dims(begin, -1) + tf.range(window)
  weights = _weights(at[..., tf.newaxis], tf.expand_dims(positions, -2), size)
  weights = tf.reduce_mean(weights, axis=-2)
  return tf.cast(begin, tf.int64), tf.cast(length, tf.int64), weights


def _pool_by_crops(features: Any, boxes: Any, bins: int, num: int) -> Any:
  import tensorflow as tf

  batch, rows, columns = tf.unstack(tf.shape(features)[:3])
  num_boxes, depth = tf.shape(boxes)[1], features.shape[-1] // bins**2
  # By way of channels first, as ONNX's convolutions leave them: nothing is moved there.
  maps = tf.transpose(features, [0, 3, 1, 2])
  maps = tf.reshape(maps, [batch * bins**2, depth, rows, columns])
  maps = tf.transpose(maps, [0, 2, 3, 1])
  shares = tf.range(bins + 1, dtype=tf.float32)[:, tf.newaxis] / bins
  first, last = boxes[:, :, tf.newaxis, :2], boxes[:, :, tf.newaxis, 2:]
  y, x = tf.unstack(first + (last - first) * shares, axis=-1)  # borders of all parts
  row, column = tf.range(bins**2) // bins, tf.range(bins**2) % bins
  of_bins = [(y, row), (x, column), (y, row + 1), (x, column + 1)]
  of_bins = tf.stack([tf.gather(*one, axis=2) for one in of_bins], axis=-1)
  index = tf.range(batch * bins**2)
  index = tf.broadcast_to(
    tf.reshape(index, [batch, 1, bins**2]), [batch, num_boxes, bins**2]
  )
  crops = tf.image.crop_and_resize(
    tf.cast(maps, tf.float32),
    tf.reshape(of_bins, [-1, 4]),
    tf.reshape(index, [-1]),
    [num, num],
  )
  means = tf.reduce_mean(crops, axis=(1, 2))
  means = tf.reshape(means, [batch, num_boxes, bins**2, depth])
  return tf.cast(tf.reduce_mean(means, axis=2), features.dtype)
