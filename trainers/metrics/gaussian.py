"""Gaussian windows over image planes, by matrix products.

A separable window of 11 taps costs 22 multiplications a pixel, but as strided
sums in NumPy it is bound by memory. Written as a banded matrix it becomes a few
small dense products per strip of rows: three quarters of the multiplications are
by zero, and it is still faster, because they run from the cache in BLAS.
"""

from __future__ import annotations

import functools

import numpy as np

BLOCK = 32  # outputs per product; larger wastes arithmetic, smaller wastes calls
# Rows times columns times taps of a product stay below the 2^18 from which OpenBLAS
# wakes its threads: on a busy machine they would wait for each other for longer
# than the product takes, fifty times longer when measured.
WIDTH = 192


@functools.cache
def taps(size: int, sigma: float) -> np.ndarray:
  """A sampled Gaussian, float64 [size], centred (between two taps when even), sum 1."""
  offsets = np.arange(size) - (size - 1) / 2
  weights = np.exp(-(offsets**2) / (2 * sigma**2))
  return weights / weights.sum()


@functools.cache
def band(size: int, sigma: float, num_outputs: int, dtype: str) -> np.ndarray:
  """The window as a matrix [num_outputs, num_outputs + size - 1], one row an output."""
  matrix = np.zeros((num_outputs, num_outputs + size - 1), dtype)
  for row in range(num_outputs):
    matrix[row, row : row + size] = taps(size, sigma)
  matrix.setflags(write=False)
  return matrix


def smooth_strip(strips: np.ndarray, size: int, sigma: float) -> np.ndarray:
  """Windows every position where the window fits ("VALID"), of one strip.

  Args:
    strips: float32 or float64 [..., rows, columns], at most `BLOCK` + size - 1
      rows (taller ones work but waste arithmetic).
    size: taps per axis, no more than rows or columns.
    sigma: standard deviation in samples.

  Returns:
    [..., rows - size + 1, columns - size + 1], the dtype of `strips`.
  """
  num_rows, num_columns = (side - size + 1 for side in strips.shape[-2:])
  dtype = strips.dtype.name
  rows_band = band(size, sigma, num_rows, dtype)
  tall = np.empty((*strips.shape[:-2], num_rows, strips.shape[-1]), strips.dtype)
  for left in range(0, tall.shape[-1], WIDTH):
    part = slice(left, left + WIDTH)
    np.matmul(rows_band, strips[..., part], out=tall[..., part])
  smooth = np.empty((*tall.shape[:-1], num_columns), strips.dtype)
  for left in range(0, num_columns, BLOCK):
    width = min(BLOCK, num_columns - left)
    np.matmul(
      tall[..., left : left + width + size - 1],
      band(size, sigma, width, dtype).T,
      out=smooth[..., left : left + width],
    )
  return smooth
