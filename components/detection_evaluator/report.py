"""`report.html` and the other files of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.detection_evaluator.evaluate import Evaluation
from components.evaluation.report import render_page, write_files
from schemas.evaluation_config import DetectionEvaluationConfig

TEMPLATE = Path(__file__).with_name("report.html.jinja")


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
  return render_page(
    TEMPLATE,
    verdict=evaluation.verdict,
    problems=evaluation.problems,
    environment=evaluation.environment,
    lineage=lineage,
    config=config,
    evaluation=evaluation,
    metrics=evaluation.metrics(),
  )
