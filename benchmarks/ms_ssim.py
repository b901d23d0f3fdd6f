"""MS-SSIM against a plain NumPy/SciPy version, on Kodak photographs.

    python benchmarks/ms_ssim.py [--images 4]

The plain version follows the recipe of the codec papers' released evaluation code
line by line: five windowed averages per scale, each a two-dimensional
`scipy.signal.fftconvolve` in float64. Ours is timed twice: one pair by itself, and
as an evaluation uses it, with several reconstructions of one photograph. Both must
agree to 1e-5. Exits 1 where they do not, or where the gain is below 4.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage, signal

from hardmine.trainers.metrics.ms_ssim import C1, C2, SCALE_WEIGHTS, MsSsim, ms_ssim

DATA = Path(
  os.environ.get(
    "HARDMINE_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
  )
)
QUALITIES = (5, 20, 50, 90)
REQUIRED_GAIN = 4.0
TOLERANCE = 1e-5


def plain_ms_ssim(reference: np.ndarray, image: np.ndarray) -> float:
  """The recipe as published, for uint8 [height, width, 3]."""
  pair = [x[np.newaxis].astype(np.float64) for x in (reference, image)]
  mean_window = np.ones((1, 2, 2, 1)) / 4
  structures, similarities = [], []
  for _ in SCALE_WEIGHTS:
    similarity, structure = plain_ssim(*pair)
    similarities.append(similarity)
    structures.append(structure)
    pair = [
      ndimage.convolve(x, mean_window, mode="reflect")[:, ::2, ::2, :] for x in pair
    ]
  factors = np.maximum([*structures[:-1], similarities[-1]], 0)
  return float(np.prod(factors ** np.array(SCALE_WEIGHTS)))


def plain_ssim(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
  """Mean SSIM and mean contrast-structure of float64 [1, height, width, 3]."""
  size = min(11, *x.shape[1:3])
  sigma = 1.5 * size / 11
  offsets = np.arange(size) - (size - 1) / 2
  window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))
  window = (window / window.sum()).reshape(1, size, size, 1)

  def smooth(planes: np.ndarray) -> np.ndarray:
    return signal.fftconvolve(planes, window, mode="valid")

  mean_x, mean_y = smooth(x), smooth(y)
  var_x = smooth(x * x) - mean_x**2
  var_y = smooth(y * y) - mean_y**2
  covariance = smooth(x * y) - mean_x * mean_y
  structure = (2 * covariance + C2) / (var_x + var_y + C2)
  luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
  return float(np.mean(luminance * structure)), float(np.mean(structure))


def timed(function: Callable[[], float]) -> tuple[float, float]:
  """A result and its wall time in seconds, the better of two runs."""
  seconds = []
  for _ in range(2):
    start = time.perf_counter()
    result = function()
    seconds.append(time.perf_counter() - start)
  return result, min(seconds)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--images", type=int, default=4, help="photographs to use")
  arguments = parser.parse_args()
  paths = sorted((DATA / "kodak").glob("*.png"))[: arguments.images]
  if not paths:
    print(f"skipped: no Kodak photographs in {DATA / 'kodak'} (set HARDMINE_DATA)")
    return 0
  plain, single, repeated, errors = [], [], [], []
  for path in paths:
    reference = np.asarray(Image.open(path).convert("RGB"))
    scorer = MsSsim(reference)
    for quality in QUALITIES:
      file = io.BytesIO()
      Image.fromarray(reference).save(file, "JPEG", quality=quality)
      image = np.asarray(Image.open(file))
      expected, plain_seconds = timed(lambda: plain_ms_ssim(reference, image))  # noqa: B023
      once, single_seconds = timed(lambda: ms_ssim(reference, image))  # noqa: B023
      again, repeated_seconds = timed(lambda: scorer.score(image))  # noqa: B023
      plain.append(plain_seconds)
      single.append(single_seconds)
      repeated.append(repeated_seconds)
      errors += [abs(once - expected), abs(again - expected)]
  reference_ms, single_ms, repeated_ms = (
    1000 * statistics.median(seconds) for seconds in (plain, single, repeated)
  )
  height, width = reference.shape[:2]
  print(f"MS-SSIM, {len(plain)} pairs, the last of {width}x{height}, median times")
  print(f"  plain NumPy/SciPy            {reference_ms:7.1f} ms")
  for name, ms in (
    ("ours, one pair", single_ms),
    ("ours, same reference", repeated_ms),
  ):
    print(f"  {name:<28} {ms:7.1f} ms   {reference_ms / ms:5.1f} times faster")
  print(f"  largest difference           {max(errors):.1e}")
  slow = reference_ms / single_ms < REQUIRED_GAIN
  return int(slow or max(errors) > TOLERANCE)


if __name__ == "__main__":
  sys.exit(main())
