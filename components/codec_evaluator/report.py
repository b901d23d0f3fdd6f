"""`report.html`: one file for a person, without scripts or anything to fetch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.evaluate import Evaluation, Sample
from hardmine.components.codec_evaluator.figures import curves, middle
from hardmine.components.codec_evaluator.formats import FAMILIES, decode, encode
from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.components.evaluation.report import write_files
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.patch_example import Patch
from hardmine.serving.pages.conventions import METRICS, OTHER, STYLES, UNITS
from hardmine.serving.pages.figures import rate_distortion
from hardmine.serving.pages.pictures import png_uri
from hardmine.serving.pages.plots import legend
from hardmine.serving.pages.shell import render_page
from hardmine.serving.pages.svg import swatch
from hardmine.trainers.metrics.ms_ssim import ms_ssim

TEMPLATE = Path(__file__).with_name("report.html.jinja")
CROP_PX = (208, 256)  # height, width: true pixels tell more than a shrunk photograph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
  """An image with the lines below it."""

  uri: str
  title: str
  caption: str


def write_evaluation(
  directory: str | Path,
  evaluation: Evaluation,
  *,
  config: CodecEvaluationConfig | None = None,
  patches: Sequence[Patch] = (),
  lineage: Mapping[str, str] | None = None,
) -> None:
  """Writes `metrics.json`, `report.html` and, last, `verdict.json` if there is one.

  Args:
    directory: is made.
    evaluation: what to say.
    config: what was asked for, shown at the end.
    patches: the hardest patches of the training set, hardest first.
    lineage: artifacts and their places.
  """
  write_files(
    directory,
    metrics=evaluation.metrics(),
    page=render(evaluation, config=config, patches=patches, lineage=lineage),
    verdict=evaluation.verdict,
  )


def render(
  evaluation: Evaluation,
  *,
  config: CodecEvaluationConfig | None = None,
  patches: Sequence[Patch] = (),
  lineage: Mapping[str, str] | None = None,
) -> str:
  """The page as text."""
  own = [one for one in (evaluation.candidate, evaluation.rival) if one is not None]
  measured = [*own, *evaluation.conventional]
  return render_page(
    TEMPLATE,
    verdict=evaluation.verdict,
    problems=(*evaluation.problems, *map(str, evaluation.left_out)),
    environment=evaluation.environment,
    lineage=lineage,
    config=config,
    evaluation=evaluation,
    metric_titles=METRICS,
    rows=_area_rows(measured),
    shown_area=shown_area,
    legend=legend(curves(measured, "ms_ssim")),  # of all figures
    figures=[
      (name, title + UNITS[name], rate_distortion(curves(measured, name), name))
      for name, title in METRICS.items()
    ],
    samples=[_sample_section(evaluation, sample) for sample in evaluation.samples],
    patches=[
      Picture(
        uri=png_uri(patch.pixels),
        title=f"{patch.score:,} B",
        caption=_place(patch),
      )
      for patch in patches
    ],
    patch_px=len(patches[0].pixels) if patches else 0,
    iterations=len(evaluation.candidate.points) if evaluation.candidate else 0,
    last_bpp=evaluation.candidate.bpp.mean(0)[-1] if evaluation.candidate else 0,
    num_images=len(measured[0].images) if measured else 0,
  )


def shown_area(area: float | None, decimals: int) -> str:
  """An area, or that there is none."""
  return "none" if area is None else f"{area:.{decimals}f}"


def _place(patch: Patch) -> str:
  shrunk = f" at 1/{patch.reduction}" if patch.reduction != 1 else ""
  return f"{patch.source}{shrunk}, row {patch.row_px}, column {patch.column_px}"


def _area_rows(measured: Sequence[Measurement]) -> list[dict[str, Any]]:
  best = {
    name: max(one.known_areas().get(f"{name}_auc", -math.inf) for one in measured)
    for name in METRICS
  }
  return [
    {
      "title": one.title,
      "detail": one.detail,
      "key": one.key,
      "swatch": swatch(STYLES.get(one.key, OTHER)),
      "rates": f"{one.bpp.mean(axis=0).min():.3f} to {one.bpp.mean(axis=0).max():.3f}",
      "areas": [
        (
          shown_area(one.areas()[f"{name}_auc"], 4 if name == "ms_ssim" else 2),
          one.areas()[f"{name}_auc"] == best[name],
        )
        for name in METRICS
      ],
      "of_files": shown_area(one.areas()["ms_ssim_auc_files"], 4),
    }
    for one in measured
  ]


def _sample_section(evaluation: Evaluation, sample: Sample) -> dict[str, Any]:
  """The original, then the model's picture and JPEG's of the closest rate, by pairs."""
  candidate = evaluation.candidate
  assert candidate is not None  # samples come from a measured candidate
  row = candidate.images.index(sample.name)
  pairs = []
  for iteration, picture in sorted(sample.reconstructions.items()):
    bpp = float(candidate.bpp[row, iteration - 1])
    pairs.append(
      {
        "heading": f"{iteration} iteration{'s' if iteration > 1 else ''}",
        "pictures": [
          Picture(
            uri=png_uri(middle(picture, *CROP_PX)),
            title="This model",
            caption=_caption(bpp, float(candidate.scores[row, iteration - 1, 0])),
          ),
          _closest_jpeg(evaluation.conventional, sample, row, bpp),
        ],
      }
    )
  height, width = sample.original.shape[:2]
  cropped = height > CROP_PX[0] or width > CROP_PX[1]
  return {
    "name": sample.name,
    "size": f"{width} × {height}",
    "cropped": f"{min(width, CROP_PX[1])} × {min(height, CROP_PX[0])}"
    if cropped
    else "",
    "original": png_uri(middle(sample.original, *CROP_PX)),
    "pairs": pairs,
  }


def _closest_jpeg(
  conventional: Sequence[Measurement], sample: Sample, row: int, bpp: float
) -> Picture:
  """JPEG 4:2:0 with optimised tables: the fairer opponent of the two."""
  family = FAMILIES[0]
  variant = family.variants[-1]
  (measured,) = (one for one in conventional if one.key == variant.key)
  column = int(np.abs(measured.bpp[row] - bpp).argmin())
  quality = measured.points[column]
  picture = decode(encode(sample.original, family, variant, quality))
  return Picture(
    uri=png_uri(middle(picture, *CROP_PX)),
    title=f"JPEG, quality {quality}",
    caption=_caption(
      float(measured.bpp[row, column]), ms_ssim(sample.original, picture)
    ),
  )


def _caption(bpp: float, score: float) -> str:
  return f"{bpp:.3f} bpp · MS-SSIM {score:.4f}"
