"""PSNR-HVS: errors weighted by how well the eye sees each spatial frequency.

Egiazarian et al. 2006, "New full-reference quality metrics based on HVS", with the
coefficients of Ponomarenko's code. Luma only, as there, and without contrast
masking (that is PSNR-HVS-M). The codec papers do not say which colours and which
normalisation they used, and no simple choice gives their JPEG rows, so these
decibels compare with decibels of this function only.
"""

from __future__ import annotations

import numpy as np

from hardmine.trainers.metrics.psnr import decibels, require_pair

BLOCK_PX = 8
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

# Contrast sensitivity per DCT coefficient: rows are vertical frequencies.
SENSITIVITY = np.array(
  [
    [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887],
    [2.144591, 2.144591, 1.838221, 1.354478, 0.989811, 0.443708, 0.428918, 0.467911],
    [1.838221, 1.979622, 1.608443, 1.072295, 0.643377, 0.451493, 0.372972, 0.459555],
    [1.838221, 1.513829, 1.169777, 0.887417, 0.504610, 0.295806, 0.321689, 0.415082],
    [1.429727, 1.169777, 0.695543, 0.459555, 0.378457, 0.236102, 0.249855, 0.334222],
    [1.072295, 0.735288, 0.467911, 0.402111, 0.317717, 0.247453, 0.227744, 0.279729],
    [0.525206, 0.402111, 0.329937, 0.295806, 0.249855, 0.212687, 0.214459, 0.254803],
    [0.357432, 0.279729, 0.270896, 0.262603, 0.229778, 0.257351, 0.249855, 0.259950],
  ],
  np.float32,
)


def dct_matrix(size: int = BLOCK_PX) -> np.ndarray:
  """The orthonormal DCT-II as a matrix, float32 [frequency, sample]."""
  frequencies, samples = np.mgrid[:size, :size]
  matrix = np.cos(np.pi * frequencies * (2 * samples + 1) / (2 * size))
  matrix *= np.where(frequencies == 0, np.sqrt(1 / size), np.sqrt(2 / size))
  return matrix.astype(np.float32)


def psnr_hvs(reference: np.ndarray, image: np.ndarray) -> float:
  """PSNR-HVS of the lumas, over blocks of 8x8 side by side.

  Args:
    reference: uint8 [height, width, 3]; sides that are no multiple of 8 are
      completed by repeating the last row and column.
    image: same shape.

  Returns:
    Decibels, at most `psnr.CAP_DB`.

  Raises:
    ValueError: not 8-bit RGB images of one shape.
  """
  require_pair(reference, image)
  error = np.subtract(image, reference, dtype=np.float32)
  # The DCT is linear: that of the difference is enough. No `@` for so few columns,
  # which would wake BLAS threads (see `gaussian.WIDTH`).
  red, green, blue = (w * error[..., i] for i, w in enumerate(LUMA))
  error = red + green + blue
  height, width = error.shape
  error = np.pad(error, [(0, -height % BLOCK_PX), (0, -width % BLOCK_PX)], mode="edge")
  height, width = error.shape
  transform = dct_matrix()
  bands = transform @ error.reshape(height // BLOCK_PX, BLOCK_PX, width)
  # [block rows, 8 * block columns, 8] times [8, 8], then by vertical frequency
  coefficients = bands.reshape(len(bands), -1, BLOCK_PX) @ transform.T
  weighted = coefficients.reshape(len(bands), BLOCK_PX, -1, BLOCK_PX)
  weighted = weighted * SENSITIVITY[:, np.newaxis, :]
  return decibels(float(np.mean(np.square(weighted), dtype=np.float64)))
