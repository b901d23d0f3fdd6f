"""Rate-distortion figures, and the part of a photograph that a page shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.serving.pages.conventions import METRICS, STYLES, UNITS
from hardmine.serving.pages.pictures import INK, plot_svg
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP


def curves_svg(
  measurements: Sequence[Measurement], metric: str, legend: bool = True
) -> str:
  """One figure, metric against bits per pixel, as an `<svg>` element."""

  def draw(axes) -> None:
    lowest, highest = np.inf, -np.inf
    for rank, one in enumerate(measurements):
      rates, values = one.curve(metric).sorted()
      options = {"linewidth": 1.5, **STYLES.get(one.key, {"color": INK})}
      axes.plot(rates, values, label=one.title, zorder=10 - rank, **options)
      visible = values[rates <= HIGHEST_BPP]
      if len(visible):
        lowest, highest = min(lowest, visible.min()), max(highest, visible.max())
    if np.isfinite(lowest):
      margin = 0.04 * max(highest - lowest, 1e-3)
      top = 1.0 if metric == "ms_ssim" else highest + margin
      axes.set_ylim(lowest - margin, top)
    axes.set_xlim(0, HIGHEST_BPP)
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(METRICS[metric] + UNITS[metric])
    if legend:
      axes.legend(loc="lower right", frameon=False, fontsize=8.5, labelcolor=INK)

  return plot_svg(metric, draw)


def middle(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
  """The middle of an image, no larger than asked for."""
  top, left = (
    max(0, (side - limit) // 2)
    for side, limit in zip(image.shape[:2], (height_px, width_px))
  )
  return image[top : top + height_px, left : left + width_px]
