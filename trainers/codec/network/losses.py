"""What a codec's training makes small.

The papers' loss is the mean absolute residual of all iterations (1608.05148, eq. 7),
before that its square (1511.06085), and after that weighted by pixel (`ssim_weights`).
Beside them stands here what the curves are judged by, MS-SSIM, and the logarithm of
each iteration's loss: late iterations have small losses, and only relative to those
do they count as much as the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from hardmine.trainers.metrics.gaussian import band
from hardmine.trainers.metrics.ms_ssim import C1, C2, SCALE_WEIGHTS, SIGMA_PX, WINDOW_PX
from hardmine.trainers.replicas import batch_mean

GREY_LEVELS = 255.0
LEAST = 1e-4  # below it a loss counts as this; its logarithm stays finite


def codec_loss(
  images: Any,
  estimates: Any,
  ms_ssim_weight: float = 0.0,
  logarithm: bool = False,
  square: bool = False,
  pixel_weights: Any = None,
  early_weight: float = 0.0,
) -> Any:
  """The mean of `iteration_losses`; by default the papers' mean absolute residual.

  With an early weight p iteration t counts by t^-p, in parts of the weights' mean.
  """
  if ms_ssim_weight or logarithm or square or early_weight or pixel_weights is not None:
    losses = iteration_losses(
      images, estimates, ms_ssim_weight, logarithm, square, pixel_weights
    )
    if early_weight:
      losses = losses * iteration_weights(losses.shape[0], early_weight)
    return ops.mean(losses)
  # one mean and not a mean of means: the weights of before, to the last bit
  residuals = ops.cast(images, "float32") - ops.cast(estimates, "float32")
  return ops.mean(ops.abs(residuals))


def iteration_weights(iterations: int, early_weight: float) -> np.ndarray:
  """t^-p for iterations t from 1, float32 [iterations] of mean 1."""
  weights = np.arange(1.0, iterations + 1) ** -early_weight
  return (weights / weights.mean()).astype("float32")


def iteration_losses(
  images: Any,
  estimates: Any,
  ms_ssim_weight: float = 0.0,
  logarithm: bool = False,
  square: bool = False,
  pixel_weights: Any = None,
) -> Any:
  """The loss of every iteration.

  Args:
    images: float32 [b, h, w, 3] in [-0.5, 0.5].
    estimates: [iterations, b, h, w, 3] around it.
    ms_ssim_weight: of 1 - MS-SSIM beside the mean absolute residual.
    logarithm: of both instead.
    square: the mean square of the residual instead (1511.06085, section 3).
    pixel_weights: float32 [iterations, b, h, w, 1], factors of what is of pixels.

  Returns:
    float32 [iterations].
  """
  residuals = ops.cast(images, "float32") - ops.cast(estimates, "float32")
  residuals = ops.square(residuals) if square else ops.abs(residuals)
  if pixel_weights is not None:
    residuals *= pixel_weights
  of_pixels = ops.mean(residuals, axis=(1, 2, 3, 4))
  losses = _logarithm(of_pixels) if logarithm else of_pixels
  if ms_ssim_weight:
    unlike = 1.0 - ops.mean(ms_ssim(images, estimates), axis=1)
    losses += ms_ssim_weight * (_logarithm(unlike) if logarithm else unlike)
  return losses


def _logarithm(means: Any) -> Any:
  """Of means over the whole batch, however many devices share it."""
  return ops.log(ops.maximum(batch_mean(means), LEAST))


def ms_ssim(images: Any, estimates: Any) -> Any:
  """MS-SSIM as `hardmine.trainers.metrics.ms_ssim` defines it, with a gradient.

  Args:
    images: [b, h, w, 3] in [-0.5, 0.5], sides a multiple of 16.
    estimates: [n, b, h, w, 3]; neither clipped nor rounded.

  Returns:
    float32 [n, b], in (0, 1].
  """
  x = GREY_LEVELS * ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
  y = GREY_LEVELS * ops.transpose(ops.cast(estimates, "float32"), (0, 1, 4, 2, 3))
  d = y - x
  product: Any = 1.0
  for index, weight in enumerate(SCALE_WEIGHTS):
    if index:
      x, d = _halve(x), _halve(d)
    last = index == len(SCALE_WEIGHTS) - 1
    similarity = _similarity(x, d, with_luminance=last)
    # A power has no slope at 0, and none that is finite just above.
    product *= ops.power(ops.maximum(similarity, 0.01), weight)
  return product


def _similarity(x: Any, d: Any, with_luminance: bool) -> Any:
  """Mean of contrast-structure over a scale, [n, b].

  Of x, [b, 3, h, w], and d, [n, b, 3, h, w], it is 1 - var(d) / (var(x) + var(y) + C2)
  with y = x + d.
  """
  mean_x, square_x = _smooth(x), _smooth(x * x)
  mean_d, square_d, cross = _smooth(d), _smooth(d * d), _smooth(x * d)
  error = square_d - mean_d * mean_d
  variances = 2 * (square_x - mean_x * mean_x) + 2 * (cross - mean_x * mean_d) + error
  similarity = 1.0 - error / (variances + C2)
  if with_luminance:
    mean_x = mean_x + GREY_LEVELS / 2
    mean_y = mean_x + mean_d
    similarity *= 1.0 - mean_d * mean_d / (mean_x * mean_x + mean_y * mean_y + C1)
  return ops.mean(similarity, axis=(-3, -2, -1))


def _smooth(planes: Any) -> Any:
  """The metric's window where it fits: [..., h, w] to smaller, by two products.

  As depthwise convolutions the windows take half of a training step.
  """
  height, width = planes.shape[-2:]
  size = min(WINDOW_PX, height, width)
  sigma = SIGMA_PX * size / WINDOW_PX
  rows = band(size, sigma, height - size + 1, "float32")
  columns = band(size, sigma, width - size + 1, "float32")
  return ops.matmul(ops.matmul(rows, planes), columns.T)


def _halve(planes: Any) -> Any:
  """Means of 2x2 blocks, [..., h, w] to [..., h/2, w/2]."""
  *leading, height, width = planes.shape
  blocks = ops.reshape(planes, (*_known(leading), height // 2, 2, width // 2, 2))
  return ops.mean(blocks, axis=(-3, -1))


def _known(shape: list[Any]) -> list[Any]:
  """A shape in which the first unknown size is left to `reshape`."""
  return [-1 if size is None else size for size in shape]
