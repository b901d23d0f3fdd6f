"""`report.html` and the other files of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardmine.components.detection_evaluator import figures, tables
from hardmine.components.detection_evaluator.evaluate import Evaluation
from hardmine.components.detection_evaluator.images_ranked import ShownImage
from hardmine.components.detection_evaluator.tables import number
from hardmine.components.evaluation.report import write_files
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.serving.pages.pictures import jpeg_uri
from hardmine.serving.pages.shell import render_page
from hardmine.trainers.detection.results.drawing import draw_boxes, shrink

TEMPLATE = Path(__file__).with_name("report.html.jinja")
HEADLINE = {"AP": "AP", "AP50": "AP50", "AP75": "AP75", "AR_100": "AR, 100 detections"}
MAX_SIDE_PX = 480


def write_evaluation(
  directory: str | Path,
  evaluation: Evaluation,
  *,
  config: DetectionEvaluationConfig | None = None,
  lineage: Mapping[str, str] | None = None,
) -> None:
  """Writes the numbers, what they were computed from, the page and the verdict.

  `annotations.json` and `detections.json` are in COCO's formats, so that whoever
  wants can compute the numbers again.

  Args:
    directory: is made.
    evaluation: what to say.
    config: what was asked for, shown at the end.
    lineage: artifacts and their places.
  """
  candidate = evaluation.candidate
  write_files(
    directory,
    metrics=evaluation.metrics(),
    page=render(evaluation, config=config, lineage=lineage),
    verdict=evaluation.verdict,
    others={
      "annotations.json": evaluation.data.to_coco(),
      "detections.json": candidate.to_results() if candidate else [],
    },
  )


def render(
  evaluation: Evaluation,
  *,
  config: DetectionEvaluationConfig | None = None,
  lineage: Mapping[str, str] | None = None,
) -> str:
  """The page as text."""
  shell: dict[str, Any] = {
    "verdict": evaluation.verdict,
    "problems": evaluation.problems,
    "environment": evaluation.environment,
    "lineage": lineage,
    "config": config,
    "evaluation": evaluation,
    "num_images": len(evaluation.data.names),
    "num_objects": evaluation.data.num_objects,
  }
  if evaluation.candidate is None:
    return render_page(TEMPLATE, candidate=None, **shell)
  own = [one for one in (evaluation.candidate, evaluation.rival) if one is not None]
  columns, which = figures.curves_shown(evaluation.candidate, evaluation.data)
  return render_page(
    TEMPLATE,
    **shell,
    candidate=evaluation.candidate,
    headline=[
      (title, number(evaluation.candidate.coco.summary[name]))
      for name, title in HEADLINE.items()
    ],
    summary=tables.summary_rows(evaluation),
    categories=tables.category_rows(evaluation),
    confused=tables.confused(evaluation),
    sizes=figures.sizes_figure(own, evaluation.data),
    mean_curves=figures.mean_curves_figure(own),
    category_curves=figures.category_curves_figure(
      evaluation.candidate, evaluation.data, columns
    )
    if len(columns) > 1  # else it is the mean curve again
    else "",
    which_curves=which,
    shown=[
      ("Worst", [_section(one, evaluation) for one in evaluation.worst]),
      ("Best", [_section(one, evaluation) for one in evaluation.best]),
    ],
  )


def _section(shown: ShownImage, evaluation: Evaluation) -> dict[str, Any]:
  """An image with its true boxes, and again with those that were found."""
  pixels, scale_yxyx = shrink(shown.pixels, MAX_SIDE_PX)
  # Pages show a picture at about half its size: lines and captions twice as large.
  side_px = max(pixels.shape)
  style = {"line_px": max(1, side_px // 150), "font_px": max(11, side_px // 24)}
  names = dict(zip(evaluation.data.categories.ids, evaluation.data.categories.names))
  truth = draw_boxes(
    pixels,
    shown.true_boxes_yxyx_px * scale_yxyx,
    [
      names[category_id] + (" (crowd)" if crowd else "")
      for category_id, crowd in zip(
        shown.true_category_ids.tolist(), shown.true_is_crowd.tolist()
      )
    ],
    shown.true_category_ids,
    **style,
  )
  found = draw_boxes(
    pixels,
    shown.boxes_yxyx_px * scale_yxyx,
    [
      f"{names[category_id]} {score:.2f}"
      for category_id, score in zip(shown.category_ids.tolist(), shown.scores.tolist())
    ],
    shown.category_ids,
    **style,
  )
  num_crowds = int(shown.true_is_crowd.sum())
  there = [_count(len(shown.true_is_crowd) - num_crowds, "object")]
  if num_crowds:
    there.append(_count(num_crowds, "crowd"))
  return {
    "name": shown.name,
    "f1": f"{shown.f1:.2f}",
    "truth": jpeg_uri(truth),
    "found": jpeg_uri(found),
    "there": ", ".join(there),
    "counts": f"{shown.found} right, {shown.false} wrong, {shown.missed} missed",
  }


def _count(num: int, what: str) -> str:
  return f"{num} {what}{'' if num == 1 else 's'}"
