"""Where in a picture a reconstruction is unlike it: MS-SSIM's errors by block.

MS-SSIM pools one minus an error share over each of five scales. Here the shares stay
where they are: of every block the mean of each scale's, the scales weighted as MS-SSIM
weights them. So the sum over blocks falls, to first order, as MS-SSIM rises. Windows
reach over the picture's edge, where its last pixels are repeated.
"""

from __future__ import annotations

import numpy as np

from hardmine.trainers.metrics.gaussian import BLOCK, smooth_strip
from hardmine.trainers.metrics.ms_ssim import (
  C2,
  CENTRE,
  SCALE_WEIGHTS,
  SIGMA_PX,
  WINDOW_PX,
  halve,
  require_rgb,
)

BLOCK_PX = 16  # 2^4, so that each of the five scales has whole pixels of a block
_REACH = WINDOW_PX // 2


class BlockErrors:
  """Errors of reconstructions of one photograph.

  Args:
    reference: uint8 [height, width, 3], any size from 1x1.
    padding_px: to a multiple of which it is padded by its last pixels, 16 or 32.

  Raises:
    ValueError: not an 8-bit RGB image.
  """

  def __init__(self, reference: np.ndarray, padding_px: int = BLOCK_PX):
    require_rgb(reference, "reference")
    self._padding_px = padding_px
    self._scales = self._pyramid(reference)

  def of(self, image: np.ndarray) -> np.ndarray:
    """Of a reconstruction.

    Args:
      image: uint8, the shape of the reference.

    Returns:
      float32 [rows, columns], a number from 0, equal, to about 1 (2 at most) a block.
    """
    require_rgb(image, "image")
    total = np.float32(0)
    for scale, (weight, x, y) in enumerate(
      zip(SCALE_WEIGHTS, self._scales, self._pyramid(image))
    ):
      side = BLOCK_PX >> scale
      shares = _shares(x, y)
      rows, columns = (length // side for length in shares.shape)
      blocks = shares.reshape(rows, side, columns, side)
      total = total + np.float32(weight) * blocks.mean(axis=(1, 3))
    return np.asarray(total)

  def _pyramid(self, image: np.ndarray) -> list[np.ndarray]:
    """float32 [3, h, w] of every scale."""
    missing = [(0, -side % self._padding_px) for side in image.shape[:2]]
    padded = np.pad(image, [*missing, (0, 0)], mode="edge")
    planes = [padded.transpose(2, 0, 1).astype(np.float32) - np.float32(CENTRE)]
    while len(planes) < len(SCALE_WEIGHTS):
      planes.append(halve(planes[-1]))
    return planes


def _shares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """The mean of the colours' error shares, float32 [h, w]."""
  margins = [(0, 0), (_REACH, _REACH), (_REACH, _REACH)]
  x, d = (np.pad(one, margins, mode="edge") for one in (x, y - x))
  height = x.shape[1] - 2 * _REACH
  found = np.empty((height, x.shape[2] - 2 * _REACH), np.float32)
  for top in range(0, height, BLOCK):
    a, b = (one[:, top : top + BLOCK + 2 * _REACH] for one in (x, d))
    moments = np.stack([a, a * a, b, b * b, a * b])
    mean_x, square_x, mean_d, square_d, cross = smooth_strip(
      moments, WINDOW_PX, SIGMA_PX
    )
    error = np.maximum(square_d - mean_d * mean_d, 0)
    twice = 2 * (square_x - mean_x * mean_x + cross - mean_x * mean_d)
    of_both = np.maximum(twice + error, 0) + np.float32(C2)
    found[top : top + BLOCK] = (error / of_both).mean(axis=0)
  return found
