"""The page of a training run: its curve so far, and one photograph as it looks now."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hardmine.schemas.files import write_atomically
from hardmine.trainers.codec.training.run_folder import RunFolder

SHOWN_ITERATIONS = (1, 2, 4, 8, 16)
TEMPLATE = Path(__file__).with_name("progress_page.html.jinja")


def write(folder: RunFolder, original: np.ndarray, pictures: np.ndarray) -> None:
  """Redraws `index.html`, a file that needs no other.

  Args:
    folder: whose log is drawn; it holds at least one scoring.
    original: uint8 [h, w, 3].
    pictures: uint8 [iterations, h, w, 3].
  """
  import jinja2

  lines = folder.logged()
  scored = [line for line in lines if "area" in line]
  trained = [line for line in lines if "loss" in line]
  experiment = folder.experiment()
  bpp = experiment.codec.bpp_per_iteration
  shown = [t for t in SHOWN_ITERATIONS if t <= len(pictures)]
  environment = jinja2.Environment(autoescape=True)
  page = environment.from_string(TEMPLATE.read_text("utf-8")).render(
    name=experiment.name,
    last=scored[-1],
    best=max(scored, key=lambda line: line["area"]),
    plots=_png_uri(_plots(scored, trained, bpp)),
    pictures=[
      ("original", _png_uri(original)),
      *((f"{t} · {bpp * t:g} bpp", _png_uri(pictures[t - 1])) for t in shown),
    ],
    codec=experiment.codec.to_json(),
    training=experiment.training.to_json(),
  )
  write_atomically(folder.page, page, durable=False)


def _plots(
  scored: list[dict[str, Any]], trained: list[dict[str, Any]], bpp: float
) -> np.ndarray:
  """Area and loss over steps, MS-SSIM over iterations at first, halfway and now."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=(13, 3.6), dpi=110, layout="constrained")
  canvas = FigureCanvasAgg(figure)
  area, loss, curve = figure.subplots(1, 3)
  area.plot([s["step"] for s in scored], [s["area"] for s in scored], marker=".")
  area.set(xlabel="step", ylabel="area under MS-SSIM", title="held-out photographs")
  loss.plot([s["step"] for s in trained], [s["loss"] for s in trained], linewidth=0.8)
  loss.set(xlabel="step", title="training loss")
  for line in dict.fromkeys((0, len(scored) // 2, len(scored) - 1)):
    scores = scored[line]["ms_ssim"]
    step = scored[line]["step"]
    curve.plot(range(1, len(scores) + 1), scores, marker=".", label=f"step {step:,}")
  curve.set(xlabel=f"iteration ({bpp:g} bits per pixel each)", title="MS-SSIM")
  curve.legend()
  for axes in (area, loss, curve):
    axes.grid(alpha=0.3)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3]


def _png_uri(picture: np.ndarray) -> str:
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, "PNG")
  return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
