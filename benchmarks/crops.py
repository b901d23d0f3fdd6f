"""Position-sensitive pooling beside the same work by `tf.image.crop_and_resize`.

R-FCN's own work: the score maps and the box maps of 80 categories, 300 proposals of all
sizes; forward, and forward with the gradient of the maps. Ours and TensorFlow's take
turns, and a ratio is the median over turns: above 1 ours is faster. The last line is
Faster R-CNN's crops, which are TensorFlow's operation and what surrounds it.

    python benchmarks/crops.py
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

TURNS = 9
NUM_BOXES, NUM_CATEGORIES = 300, 80
SETTINGS = [  # rows and columns of the map, bins, points of a side
  (19, 19, 3, 12),
  (38, 38, 3, 12),
  (38, 38, 7, 21),
]


def main() -> None:
  """Prints milliseconds of both and the ratio, a line a setting."""
  from hardmine.trainers.detection.meta_architectures.crops import (
    crop_and_resize,
    position_sensitive,
  )

  generator = np.random.default_rng(0)
  boxes = _boxes(generator)
  for rows, columns, bins, crop_px in SETTINGS:
    depths = (NUM_CATEGORIES + 1, NUM_CATEGORIES * 4)
    maps = [_noise(generator, rows, columns, bins**2 * depth) for depth in depths]
    how = {"boxes_yxyx_norm": boxes, "bins": bins, "crop_px": crop_px}
    both = [
      _of_all(functools.partial(pool, **how))
      for pool in (position_sensitive, _by_crops)
    ]
    for ours, theirs in zip(both[0](maps), both[1](maps)):
      np.testing.assert_allclose(ours, theirs, atol=1e-4)
    of = f"{rows}x{columns} positions, {bins}x{bins} bins of {crop_px // bins} points"
    _print(f"pooling, {of}", both, maps)
    _print(f"pooling and gradient, {of}", [_gradient(one) for one in both], maps)
  features = [_noise(generator, 38, 38, 1024)]
  flat, index = tf.reshape(boxes, [-1, 4]), tf.zeros([NUM_BOXES], tf.int32)
  crops = [
    _of_all(lambda one: crop_and_resize(one, boxes, 14)),
    _of_all(lambda one: tf.image.crop_and_resize(one, flat, index, [14, 14])),
  ]
  _print("crops of 14 from 38x38 positions, 1024 deep", crops, features)


def _by_crops(maps: Any, boxes_yxyx_norm: Any, bins: int, crop_px: int) -> Any:
  """The same mean, from a crop of every bin."""
  ymin, xmin, ymax, xmax = tf.unstack(tf.reshape(boxes_yxyx_norm, [-1, 4]), axis=-1)
  height, width = (ymax - ymin) / bins, (xmax - xmin) / bins
  index, total = tf.zeros([NUM_BOXES], tf.int32), 0.0
  for number, one in enumerate(tf.split(maps, bins**2, axis=-1)):
    y, x = divmod(number, bins)
    top, left = ymin + y * height, xmin + x * width
    of_bin = tf.stack([top, left, top + height, left + width], axis=-1)
    total += tf.image.crop_and_resize(one, of_bin, index, [crop_px // bins] * 2)
  return tf.reduce_mean(total, axis=[1, 2])[tf.newaxis] / bins**2


def _of_all(pool: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
  return tf.function(lambda maps: [pool(one) for one in maps], autograph=False)


def _gradient(pool: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], Any]:
  def gradient(maps: list[Any]) -> Any:
    with tf.GradientTape() as tape:
      tape.watch(maps)
      loss = tf.add_n([tf.reduce_sum(tf.square(one)) for one in pool(maps)])
    return tape.gradient(loss, maps)

  return tf.function(gradient, autograph=False)


def _print(name: str, both: list[Callable[[Any], Any]], maps: Any) -> None:
  for one in both:
    one(maps)
  turns = [[_seconds(one, maps) for one in both] for _ in range(TURNS)]
  ours, theirs = (statistics.median(column) for column in zip(*turns))
  ratio = statistics.median(theirs / ours for ours, theirs in turns)
  print(
    f"{name}: {1e3 * ours:.1f} ms, tf.image.crop_and_resize {1e3 * theirs:.1f} ms, "
    f"ratio {ratio:.2f}",
    flush=True,
  )


def _seconds(function: Callable[[Any], Any], maps: Any) -> float:
  start = time.perf_counter()
  function(maps)
  return time.perf_counter() - start


def _noise(generator: Any, *shape: int) -> Any:
  return tf.constant(generator.normal(size=(1, *shape)).astype(np.float32))


def _boxes(generator: Any) -> Any:
  """float32 [1, P, 4] inside the image, their sides from a twentieth of it to all."""
  centers = generator.uniform(0.01, 0.99, (1, NUM_BOXES, 2))
  sides = np.exp(generator.uniform(np.log(0.05), 0, (1, NUM_BOXES, 2)))
  corners = [centers - sides / 2, centers + sides / 2]
  clipped = np.clip(np.concatenate(corners, axis=-1), 1e-3, 1 - 1e-3)
  return tf.constant(clipped.astype(np.float32))


if __name__ == "__main__":
  main()
