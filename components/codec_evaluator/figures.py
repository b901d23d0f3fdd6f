"""Rate-distortion curves, and the part of a photograph that a page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.serving.pages.conventions import OTHER, STYLES
from hardmine.serving.pages.plots import Line
from hardmine.serving.pages.svg import Style


def curves(
  measurements: Sequence[Measurement],
  metric: str,
  *,
  files: bool = False,
  styles: Mapping[str, Style] = STYLES,
) -> list[Line]:
  """The mean curve of each codec: a metric over bits per pixel.

  Args:
    measurements: in the order of the legend.
    metric: one of `METRICS`.
    files: over the rates of whole files, headers included.
    styles: by the codec's key.
  """
  found = []
  for one in measurements:
    rates, values = one.curve(metric, files=files).sorted()
    points = tuple(zip(rates.tolist(), values.tolist()))
    style = styles.get(one.key, OTHER)
    found.append(Line(title=one.title, points=points, style=style))
  return found


def middle(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
  """The middle of an image, no larger than asked for."""
  top, left = (
    max(0, (side - limit) // 2)
    for side, limit in zip(image.shape[:2], (height_px, width_px))
  )
  return image[top : top + height_px, left : left + width_px]
