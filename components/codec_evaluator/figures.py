"""Rate-distortion figures and pictures as text that fits inside an HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from components.codec_evaluator.measurement import METRICS, Measurement
from trainers.metrics.rate_distortion import HIGHEST_BPP

ACCENT = "#1d4ed8"
# Hue says which format, dashes say that only the entropy coding differs.
STYLES = {
  "candidate": {"color": ACCENT, "linewidth": 2.6, "marker": "o", "markersize": 4},
  "baseline_model": {"color": "#7c9bea", "linewidth": 2.0, "linestyle": (0, (5, 2))},
  "jpeg_420": {"color": "#c2410c"},
  "jpeg_420_optimised": {"color": "#c2410c", "linestyle": (0, (3, 2))},
  "jpeg_444": {"color": "#a8a29e"},
  "jpeg_444_optimised": {"color": "#a8a29e", "linestyle": (0, (3, 2))},
  "webp": {"color": "#15803d"},
}
UNITS = {"ms_ssim": "", "psnr_hvs": " (dB)", "psnr": " (dB)"}


def curves_svg(
  measurements: Sequence[Measurement], metric: str, legend: bool = True
) -> str:
  """One figure, metric against bits per pixel, as an `<svg>` element."""
  import matplotlib
  from matplotlib.backends.backend_svg import FigureCanvasSVG
  from matplotlib.figure import Figure

  style = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": "#cbd5e1",
    "axes.labelcolor": "#475569",
    "xtick.color": "#64748b",
    "ytick.color": "#64748b",
    "svg.fonttype": "path",  # looks the same wherever the page is opened
    "svg.hashsalt": metric,  # the same numbers give the same file
  }
  with matplotlib.rc_context(style):
    figure = Figure(figsize=(6.0, 4.3), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    lowest, highest = np.inf, -np.inf
    for rank, one in enumerate(measurements):
      rates, values = one.curve(metric).sorted()
      options = {"linewidth": 1.5, **STYLES.get(one.key, {"color": "#334155"})}
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
    axes.grid(color="#e8edf3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
      axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    if legend:
      axes.legend(loc="lower right", frameon=False, fontsize=8.5, labelcolor="#334155")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
  text = buffer.getvalue()
  return _unique_ids(text[text.index("<svg") :], metric)


def png_uri(image: np.ndarray, scale: int = 1) -> str:
  """uint8 [height, width, 3] as a `data:` URI, every pixel repeated `scale` times."""
  if scale > 1:
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
  buffer = io.BytesIO()
  Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
  return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def middle(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
  """The middle of an image, no larger than asked for."""
  top, left = (
    max(0, (side - limit) // 2)
    for side, limit in zip(image.shape[:2], (height_px, width_px))
  )
  return image[top : top + height_px, left : left + width_px]


def _unique_ids(svg: str, prefix: str) -> str:
  """Several figures share a page, and so the space of ids."""
  for before in ('id="', 'href="#', "url(#"):
    svg = svg.replace(before, f"{before}{prefix}-")
  return svg
