"""Where a loss of pixels looks hardest: where pictures are least alike (1703.10114).

    S = (1 - SSIM(x, xh)) / 2       of each pixel's surroundings, 0 to 1
    w = S / mean of S               the loss of a pixel is w |x - xh|

SSIM is of the pictures, not of what is left to code, with the window of 11x11 pixels
that it always has; at the borders that part of it which lies inside. The mean is a
moving one, over steps of training, so weights are about 1 on average; no gradient goes
through them.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.trainers.codec.network.losses import GREY_LEVELS
from hardmine.trainers.metrics.gaussian import taps
from hardmine.trainers.metrics.ms_ssim import C1, C2, SIGMA_PX, WINDOW_PX
from hardmine.trainers.replicas import batch_mean

DECAY = 0.99


class SsimWeights(keras.layers.Layer):
  """The weight of every pixel, and the moving mean of S."""

  def __init__(self, **kwargs: Any):
    super().__init__(dtype="float32", **kwargs)
    # a sum and how much it is a sum of: from the first step on their ratio is a mean
    self.moving = self.add_weight(
      name="moving",
      shape=(2,),
      initializer="zeros",
      trainable=False,
      aggregation="only_first_replica",  # all replicas have the same
    )

  def call(self, images: Any, estimates: Any, training: bool = False) -> Any:
    """Weights [n, b, h, w, 1] of estimates [n, b, h, w, 3] of images [b, h, w, 3].

    In training the moving mean takes these pictures in first.
    """
    unlike = ops.stop_gradient(dissimilarity(images, estimates))
    mean = batch_mean(ops.mean(unlike))
    moving: Any = ops.convert_to_tensor(self.moving)
    if training:
      moving = DECAY * moving + (1 - DECAY) * ops.stack([mean, ops.ones_like(mean)])
      self.moving.assign(moving)
    usual = ops.where(moving[1] > 0, moving[0] / ops.maximum(moving[1], 1e-6), mean)
    return unlike / ops.maximum(usual, 1e-6)


def dissimilarity(images: Any, estimates: Any) -> Any:
  """S of every pixel, the mean of its colours: float32 [n, b, h, w, 1], 0 to 1.

  Args:
    images: [b, h, w, 3] in [-0.5, 0.5].
    estimates: [n, b, h, w, 3]; neither clipped nor rounded.
  """
  x = GREY_LEVELS * (ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2)) + 0.5)
  y = ops.transpose(ops.cast(estimates, "float32"), (0, 1, 4, 2, 3)) + 0.5
  y = GREY_LEVELS * y
  mean_x, mean_y = _smooth(x), _smooth(y)
  variance_x = _smooth(x * x) - mean_x * mean_x
  variance_y = _smooth(y * y) - mean_y * mean_y
  covariance = _smooth(x * y) - mean_x * mean_y
  ssim = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
  ssim *= (2 * covariance + C2) / (variance_x + variance_y + C2)
  unlike = ops.clip((1.0 - ssim) / 2, 0.0, 1.0)
  return ops.expand_dims(ops.mean(unlike, axis=-3), -1)


def _smooth(planes: Any) -> Any:
  """The window around every pixel, [..., h, w] to the same, by two products."""
  height, width = planes.shape[-2:]
  return ops.matmul(ops.matmul(_window(height), planes), _window(width).T)


@functools.cache
def _window(length: int) -> np.ndarray:
  """Weights [length, length] of the pixels around each along a side; rows sum to 1."""
  reach = WINDOW_PX // 2
  padded = np.zeros((length, length + 2 * reach))
  for row in range(length):
    padded[row, row : row + WINDOW_PX] = taps(WINDOW_PX, SIGMA_PX)
  inside = padded[:, reach : reach + length]
  return (inside / inside.sum(axis=1, keepdims=True)).astype("float32")
