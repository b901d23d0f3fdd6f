"""How a codec does on photographs that it is not trained on, iteration by iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hardmine.trainers.metrics.ms_ssim import MsSsim
from hardmine.trainers.metrics.rate_distortion import LOWEST_BPP, Curve

BPP_PER_ITERATION = 0.125  # of the full-resolution network


def ms_ssim_by_iteration(
  reconstruct: Callable[[np.ndarray], np.ndarray],
  images: Sequence[np.ndarray],
) -> np.ndarray:
  """Mean MS-SSIM over images after every iteration, float64 [iterations].

  Args:
    reconstruct: uint8 [h, w, 3] to uint8 [iterations, h, w, 3].
    images: at least one.
  """
  scores = []
  for image in images:
    metric = MsSsim(image)
    scores.append([metric.score(picture) for picture in reconstruct(image)])
  return np.mean(scores, axis=0)


def area(scores: np.ndarray, bpp: float = BPP_PER_ITERATION) -> float:
  """Under the curve of those means at the nominal rate, from 0.125 to 2 bpp.

  Args:
    scores: after every iteration.
    bpp: of an iteration.
  """
  rates = bpp * np.arange(1, len(scores) + 1)
  if rates[-1] < LOWEST_BPP:  # the last value is held, as it is above the last rate
    rates, scores = np.append(rates, LOWEST_BPP), np.append(scores, scores[-1])
  return Curve(bpp=tuple(rates.tolist()), value=tuple(scores.tolist())).area()


def num_helpful(scores: np.ndarray) -> int:
  """Iterations up to the first that leaves the mean where it was, or lowers it."""
  worse = np.flatnonzero(np.diff(scores) <= 0)
  return int(worse[0]) + 1 if len(worse) else len(scores)


def facts(scores: np.ndarray) -> dict[str, Any]:
  """For an exported codec: where to stop, and by which numbers."""
  return {
    "iterations": num_helpful(scores),
    "held_out_ms_ssim": [round(float(score), 6) for score in scores],
  }
