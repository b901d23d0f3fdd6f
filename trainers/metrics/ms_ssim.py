"""MS-SSIM of RGB images, as the codec papers report it.

Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image
quality assessment", in the variant of the authors of arXiv 1608.05148: 8-bit
images, an 11x11 Gaussian window (sigma 1.5) where it fits, five scales, and the
three colours pooled in the mean of every scale.

With d = image - reference, both local factors are one minus an error share,

    contrast-structure  cs = 1 - var(d) / (var(x) + var(y) + C2)
    luminance           l  = 1 - mean(d)^2 / (mean(x)^2 + mean(y)^2 + C1)

which is the textbook form rearranged. It needs three windowed averages per image
instead of five, halves with the image (a smaller d is the d of smaller images),
keeps float32 accurate (nothing large cancels), and is exactly 1 for equal images.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.metrics.gaussian import BLOCK, smooth_strip

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first; sum 1.0001
WINDOW_PX = 11
SIGMA_PX = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
# Below it the coarsest scale is smaller than the window, and scores stand alone.
MIN_SIDE_PX = (WINDOW_PX - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
CENTRE = 128.0  # taken off all samples, so that squares stay small


@dataclasses.dataclass(frozen=True)
class _Strip:
  """What a strip of the reference contributes, of one scale and all colours."""

  rows: slice  # of the scale's planes, the window's margin included
  twice_x: np.ndarray  # [3, rows + size - 1, columns + size - 1], a view
  twice_mean: np.ndarray  # [3, rows, columns], of the centred samples
  floor: np.ndarray  # [3, rows, columns]: 2 var(x) + C2


@dataclasses.dataclass(frozen=True)
class _Scale:
  """The reference at one scale, float32, or float64 at the coarsest.

  `size` and `sigma` are the window's, which shrinks with tiny images.
  """

  size: int
  sigma: float
  num_samples: int
  strips: tuple[_Strip, ...]


class MsSsim:
  """Scores reconstructions of one photograph.

  The photograph's own statistics are computed once, and every score then costs
  three windowed averages per scale.

  Args:
    reference: uint8 [height, width, 3], any size from 1x1; below `MIN_SIDE_PX` a
      side the window shrinks at the coarse scales, and scores of such images compare
      with each other only.

  Raises:
    ValueError: not an 8-bit RGB image.
  """

  def __init__(self, reference: np.ndarray):
    require_rgb(reference, "reference")
    self._reference = reference
    x = np.subtract(_planes(reference), CENTRE, dtype=np.float32, order="C")
    scales = []
    for index in range(len(SCALE_WEIGHTS)):
      if index:
        x = halve(x)
      if index == len(SCALE_WEIGHTS) - 1:
        x = x.astype(np.float64)
      scales.append(_describe(x))
    self._scales = tuple(scales)

  def score(self, image: np.ndarray) -> float:
    """MS-SSIM against the reference.

    Args:
      image: uint8, the shape of the reference.

    Returns:
      0 to 1, and 1 only for an equal image. A negative mean contrast-structure
      counts as 0, since it has no real power.

    Raises:
      ValueError: another shape, or not 8-bit.
    """
    require_rgb(image, "image")
    require(
      image.shape == self._reference.shape,
      f"an image of shape {self._reference.shape}",
      shape=image.shape,
    )
    d = np.subtract(
      _planes(image), _planes(self._reference), dtype=np.float32, order="C"
    )
    # Variances do not see a common shift, but float32 would. A whole number keeps
    # d exact through all the halvings.
    shift = np.rint(d.mean(axis=(1, 2), keepdims=True))  # [3, 1, 1]
    d -= shift
    product = 1.0
    for index, (scale, weight) in enumerate(zip(self._scales, SCALE_WEIGHTS)):
      if index:
        d = halve(d)
      is_coarsest = index == len(SCALE_WEIGHTS) - 1
      if is_coarsest:
        d = d.astype(np.float64)  # dark images: l is far below 1 and needs it
      similarity = _mean_similarity(scale, d, shift if is_coarsest else None)
      product *= max(similarity, 0.0) ** weight
    return product


def ms_ssim(reference: np.ndarray, image: np.ndarray) -> float:
  """MS-SSIM of one pair; `MsSsim` is faster for several images of one reference."""
  return MsSsim(reference).score(image)


def halve(planes: np.ndarray) -> np.ndarray:
  """Means of 2x2 blocks, [..., h, w] to [..., ceil(h/2), ceil(w/2)].

  An odd last row or column is averaged with itself, as a reflecting 2x2 mean
  followed by taking every second sample does.
  """
  height, width = planes.shape[-2:]
  if height % 2 or width % 2:
    margins = [(0, 0)] * (planes.ndim - 2) + [(0, height % 2), (0, width % 2)]
    planes = np.pad(planes, margins, mode="edge")
  rows = planes[..., 0::2, :] + planes[..., 1::2, :]
  halved = rows[..., 0::2] + rows[..., 1::2]
  halved *= planes.dtype.type(0.25)
  return halved


def require_rgb(image: np.ndarray, name: str) -> None:
  """Raises ValueError unless `image` is uint8 [height, width, 3] and not empty."""
  image = np.asarray(image)
  require(
    image.dtype == np.uint8
    and image.ndim == 3
    and image.shape[2] == 3
    and image.size > 0,
    f"{name} as uint8 [height, width, 3]",
    shape=image.shape,
    dtype=str(image.dtype),
  )


def _planes(image: np.ndarray) -> np.ndarray:
  return np.moveaxis(image, 2, 0)  # [3, height, width]


def _describe(x: np.ndarray) -> _Scale:
  """Statistics of the centred reference x, a float [3, height, width]."""
  _, height, width = x.shape
  size = min(WINDOW_PX, height, width)
  sigma = SIGMA_PX * size / WINDOW_PX
  twice_x = 2 * x
  strips = []
  for top in range(0, height - size + 1, BLOCK):
    rows = slice(top, top + BLOCK + size - 1)
    part = x[:, rows]
    mean, square = smooth_strip(np.stack([part, part * part]), size, sigma)
    floor = 2 * (square - mean * mean) + x.dtype.type(C2)
    strips.append(
      _Strip(rows=rows, twice_x=twice_x[:, rows], twice_mean=2 * mean, floor=floor)
    )
  samples = 3 * (height - size + 1) * (width - size + 1)
  return _Scale(size=size, sigma=sigma, num_samples=samples, strips=tuple(strips))


def _mean_similarity(scale: _Scale, d: np.ndarray, shift: np.ndarray | None) -> float:
  """Mean of cs over a scale, or of l * cs given what was taken off d.

  Args:
    scale: of the reference.
    d: [3, height, width] of the scale's dtype, image minus reference minus shift.
    shift: [3, 1, 1], or None for cs alone.
  """
  total = 0.0
  for strip in scale.strips:
    part = d[:, strip.rows]
    moments = np.empty((3, *part.shape), part.dtype)
    moments[0] = part
    np.multiply(part, part, out=moments[1])
    np.multiply(part, strip.twice_x, out=moments[2])
    mean, square, cross = smooth_strip(moments, scale.size, scale.sigma)
    # var(x) + var(y) + C2 = floor + 2 cov(x, d) + var(d)
    error = square - mean * mean
    share = np.multiply(mean, strip.twice_mean)
    np.subtract(cross, share, out=share)
    share += error
    share += strip.floor
    np.divide(error, share, out=share)
    if shift is not None:
      mean += shift
      mean_x = strip.twice_mean / 2 + CENTRE
      mean_y = mean_x + mean
      luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
      share = 1 - luminance * (1 - share)
    total += float(share.sum(dtype=np.float64))
  return 1.0 - total / scale.num_samples
