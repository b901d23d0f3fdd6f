"""Rate-distortion curves and the area under them.

The papers report one number per curve, its area "up to 2 bits per pixel". Their
numbers fit one reading only: the area from the first operating point, 0.125 bits
per pixel, to 2; so an ideal MS-SSIM has 1.875.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hardmine.schemas.config import Config, require

LOWEST_BPP = 0.125
HIGHEST_BPP = 2.0
_ROUNDING = 1e-9  # of a rate that is a mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve(Config):
  """A quality at several rates.

  Attributes:
    bpp: bits per pixel, in the order of the operating points.
    value: the metric at each.
  """

  bpp: tuple[float, ...]
  value: tuple[float, ...]

  def __post_init__(self):
    require(
      len(self.bpp) == len(self.value) > 0,
      "as many rates as values, and at least one",
      num_bpp=len(self.bpp),
      num_values=len(self.value),
    )
    require(
      bool(np.all(np.isfinite(self.bpp)) and np.all(np.isfinite(self.value))),
      "finite numbers",
      bpp=self.bpp,
      value=self.value,
    )
    require(min(self.bpp) >= 0, "rates of 0 or more", bpp=self.bpp)

  def sorted(self) -> tuple[np.ndarray, np.ndarray]:
    """Rates and values by rising rate; equal rates become one point, their mean."""
    rates, group = np.unique(np.asarray(self.bpp, np.float64), return_inverse=True)
    sums = np.bincount(group, weights=np.asarray(self.value, np.float64))
    return rates, sums / np.bincount(group)

  def at(self, bpp: float | np.ndarray) -> np.ndarray:
    """The value at a rate: linear between points, held beyond the outermost."""
    return np.interp(bpp, *self.sorted())

  def reaches(self, low: float = LOWEST_BPP, high: float = HIGHEST_BPP) -> bool:
    """Whether any rate was measured between two, these included."""
    rates, _ = self.sorted()
    return bool(np.any((rates >= low - _ROUNDING) & (rates <= high + _ROUNDING)))

  def area(self, low: float = LOWEST_BPP, high: float = HIGHEST_BPP) -> float:
    """Area under the curve between two rates, in the metric's unit times bpp.

    A codec that cannot go as low (or was not measured as high) as the limit keeps
    its outermost value up to it.

    Raises:
      ValueError: the limits are the wrong way round, or nothing was measured between
        them: the area would be made of held values alone.
    """
    require(low < high, "low < high", low=low, high=high)
    require(
      self.reaches(low, high),
      f"a rate that was measured from {low:g} to {high:g} bits per pixel",
      bpp=self.bpp,
    )
    rates, _ = self.sorted()
    inside = rates[(rates > low) & (rates < high)]
    rates = np.concatenate([[low], inside, [high]])
    values = self.at(rates)
    return float(np.sum(np.diff(rates) * (values[1:] + values[:-1]) / 2))


def mean_curve(curves: Sequence[Curve]) -> Curve:
  """Mean rate and mean value over images, operating point by operating point.

  Raises:
    ValueError: no curve, or the curves differ in their number of points.
  """
  require(len(curves) > 0, "at least one curve", num_curves=len(curves))
  lengths = sorted({len(curve.bpp) for curve in curves})
  require(len(lengths) == 1, "curves of equal length", lengths=lengths)
  return Curve(
    bpp=tuple(np.mean([curve.bpp for curve in curves], axis=0).tolist()),
    value=tuple(np.mean([curve.value for curve in curves], axis=0).tolist()),
  )


def bd_rate(anchor: Curve, curve: Curve) -> float | None:
  """How many per cent more bits `curve` needs than `anchor` for equal quality.

  Bjontegaard 2001 (ITU-T VCEG-M33), with monotone cubic interpolation of the
  logarithm of the rate.

  Returns:
    Per cent, negative where `curve` needs fewer bits; None where the curves share
    no range of qualities or one of them has fewer than two.
  """
  from scipy.interpolate import PchipInterpolator

  log_rates, ranges = [], []
  for one in (anchor, curve):
    rates, values = one.sorted()
    keep = rates > 0
    values, first = np.unique(np.maximum.accumulate(values[keep]), return_index=True)
    if len(values) < 2:
      return None
    log_rates.append(PchipInterpolator(values, np.log(rates[keep][first])))
    ranges.append((values[0], values[-1]))
  low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
  if low >= high:
    return None
  of_anchor, of_curve = (line.integrate(low, high) for line in log_rates)
  return float(100 * np.expm1((of_curve - of_anchor) / (high - low)))
