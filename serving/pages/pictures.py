"""Pictures and plots as text that fits inside an HTML page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

ACCENT = "#1d4ed8"  # this model
RIVAL = "#7c9bea"  # the last blessed one
INK = "#334155"
_STYLE = {
  "font.family": "sans-serif",
  "font.sans-serif": ["Inter", "Helvetica Neue", "Arial", "DejaVu Sans"],
  "font.size": 9.5,
  "axes.edgecolor": "#cbd5e1",
  "axes.labelcolor": "#475569",
  "xtick.color": "#64748b",
  "ytick.color": "#64748b",
  "svg.fonttype": "path",  # looks the same wherever the page is opened
}


def png_uri(image: np.ndarray, scale: int = 1) -> str:
  """uint8 [height, width, 3] as a `data:` URI, every pixel repeated `scale` times."""
  if scale > 1:
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
  return _uri(image, "PNG", optimize=True)


def jpeg_uri(image: np.ndarray, quality: int = 85) -> str:
  """As `png_uri`, in a tenth of the bytes: for pictures that only illustrate."""
  return _uri(image, "JPEG", quality=quality, subsampling=0)


def plot_svg(
  name: str,
  draw: Callable[[Any], None],
  size_inches: tuple[float, float] = (6.0, 4.3),
) -> str:
  """A plot in the reports' style, as an `<svg>` element.

  Args:
    name: of letters, digits and underscores; unique on its page.
    draw: fills matplotlib's Axes.
    size_inches: width and height.
  """
  import matplotlib
  from matplotlib.backends.backend_svg import FigureCanvasSVG
  from matplotlib.figure import Figure

  # The same numbers give the same file.
  with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
    figure = Figure(figsize=size_inches, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.grid(color="#e8edf3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
      axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    draw(axes)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
  text = buffer.getvalue()
  return _unique_ids(text[text.index("<svg") :], name)


def _uri(image: np.ndarray, kind: str, **options: Any) -> str:
  buffer = io.BytesIO()
  Image.fromarray(np.ascontiguousarray(image)).save(buffer, kind, **options)
  text = base64.b64encode(buffer.getvalue()).decode()
  return f"data:image/{kind.lower()};base64,{text}"


def _unique_ids(svg: str, prefix: str) -> str:
  """Several plots share a page, and so the space of ids."""
  for before in ('id="', 'href="#', "url(#"):
    svg = svg.replace(before, f"{before}{prefix}-")
  return svg
