"""Rate-distortion curves, and the part of a photograph that a page shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.serving.pages.conventions import OTHER, STYLES
from hardmine.serving.pages.plots import Line


def curves(measurements: Sequence[Measurement], metric: str) -> list[Line]:
  """The mean curve of each codec: a metric over bits per pixel."""
  found = []
  for one in measurements:
    rates, values = one.curve(metric).sorted()
    points = tuple(zip(rates.tolist(), values.tolist()))
    style = STYLES.get(one.key, OTHER)
    found.append(Line(title=one.title, points=points, style=style))
  return found


def middle(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
  """The middle of an image, no larger than asked for."""
  top, left = (
    max(0, (side - limit) // 2)
    for side, limit in zip(image.shape[:2], (height_px, width_px))
  )
  return image[top : top + height_px, left : left + width_px]
