"""Peak signal-to-noise ratio of 8-bit RGB images."""

from __future__ import annotations

import math

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.metrics.ms_ssim import require_rgb

PEAK = 255
CAP_DB = 100.0  # stands for "equal", where the ratio is infinite


def psnr(reference: np.ndarray, image: np.ndarray) -> float:
  """PSNR over all samples of the three colours.

  Args:
    reference: uint8 [height, width, 3].
    image: same shape.

  Returns:
    Decibels, at most `CAP_DB`.

  Raises:
    ValueError: not 8-bit RGB images of one shape.
  """
  require_pair(reference, image)
  error = np.subtract(image, reference, dtype=np.float32)
  return decibels(float(np.mean(np.square(error), dtype=np.float64)))


def decibels(mean_square_error: float) -> float:
  """The ratio of a peak of 255 to an error, in decibels, at most `CAP_DB`."""
  if mean_square_error <= 0:
    return CAP_DB
  return min(10 * math.log10(PEAK**2 / mean_square_error), CAP_DB)


def require_pair(reference: np.ndarray, image: np.ndarray) -> None:
  """Raises ValueError unless both are uint8 [height, width, 3] of one shape."""
  require_rgb(reference, "reference")
  require_rgb(image, "image")
  require(
    image.shape == reference.shape,
    f"an image of shape {reference.shape}",
    shape=image.shape,
  )
