"""Plots of a detector's precision, as text that fits inside an HTML page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardmine.components.detection_evaluator.annotated_set import AnnotatedSet
from hardmine.components.detection_evaluator.measurement import Measurement
from hardmine.serving.pages.conventions import ACCENT, RIVAL
from hardmine.serving.pages.figures import precision_by_size, size_bars
from hardmine.serving.pages.plots import Line, legend, line_plot
from hardmine.serving.pages.svg import Style
from hardmine.trainers.metrics.coco_map import CocoMap

AREA_BORDERS_PX = (32**2, 96**2)  # between small, medium and large
MAX_CURVES = 8  # of categories in one plot; more are no longer told apart
MIN_OBJECTS = 10  # with fewer, a category's curve is a few steps at the extremes
# Told apart in any order, also by most who confuse red and green (Okabe and Ito).
_MANY_COLOURS = (
  *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
  *("#e69f00", "#56b4e9", "#8b5e3c", "#1e293b"),
)
_MEAN_IOUS = {0: (), 5: (4, 2)}  # position among the thresholds to dashes


def sizes_figure(measurements: Sequence[Measurement], data: AnnotatedSet) -> str:
  """Bars: AP of objects of all sizes, and of the small, medium and large ones."""
  areas_px = data.truth.areas_px[~data.truth.is_crowd]
  sizes = np.searchsorted(AREA_BORDERS_PX, areas_px, side="right")
  bars = [
    size_bars(one.title, one.coco.summary, rival=rank > 0)
    for rank, one in enumerate(measurements)
  ]
  counts = [len(sizes), *np.bincount(sizes, minlength=3).tolist()]
  plot = precision_by_size(bars, counts)
  return plot + legend(bars) if plot and len(bars) > 1 else plot


def mean_curves_figure(measurements: Sequence[Measurement]) -> str:
  """Precision against recall, means over the categories, at IoU 0.50 and 0.75."""
  lines = []
  for color, width, one in zip((ACCENT, RIVAL), (2.4, 1.6), measurements):
    for threshold, dashes in _MEAN_IOUS.items():
      iou = f"{one.coco.iou_thresholds[threshold]:.2f}"
      line = Line(
        title=f"{one.title}, IoU {iou}",
        points=_points(one.coco, _mean_precision(one.coco, threshold)),
        style=Style(color=color, width=width, dashes=dashes),
      )
      lines.append(line)
  return _precision_recall("Precision against recall, mean over categories", lines)


def curves_shown(measurement: Measurement, data: AnnotatedSet) -> tuple[list[int], str]:
  """Positions of the categories whose curves are drawn, and which they are in words.

  Of many categories the best and the worst are taken, if possible among those that
  have objects enough for a curve.
  """
  ranked = by_precision(measurement, data)
  if len(ranked) <= MAX_CURVES:
    return ranked, ""
  objects = data.truth.box_category_ids[~data.truth.is_crowd]
  frequent = [
    column
    for column in ranked
    if (objects == data.categories.ids[column]).sum() >= MIN_OBJECTS
  ]
  words = "the best and the worst categories"
  if len(frequent) > MAX_CURVES:
    ranked, words = frequent, f"{words} with at least {MIN_OBJECTS} objects"
  half = MAX_CURVES // 2
  return [*ranked[:half], *ranked[-half:]], words


def category_curves_figure(
  measurement: Measurement, data: AnnotatedSet, shown: Sequence[int]
) -> str:
  """Precision against recall at IoU 0.50, of the categories in some positions."""
  lines = []
  for color, column in zip(_MANY_COLOURS, shown):
    category = data.categories.categories[column]
    average = measurement.coco.per_category[category.id]["AP50"]
    line = Line(
      title=f"{_short(category.name)}, AP50 {average:.2f}",
      points=_points(measurement.coco, measurement.coco.precision[0, :, column, 0]),
      style=Style(color=color, width=1.7),
    )
    lines.append(line)
  return _precision_recall("Precision against recall at IoU 0.50, by category", lines)


def by_precision(measurement: Measurement, data: AnnotatedSet) -> list[int]:
  """Positions of the categories that have objects, those of highest AP first."""
  precisions = [
    measurement.coco.per_category[category_id]["AP"]
    for category_id in data.categories.ids
  ]
  order = np.argsort([-value for value in precisions], kind="stable").tolist()
  return [column for column in order if precisions[column] >= 0]


def _precision_recall(label: str, lines: Sequence[Line]) -> str:
  """The plot with its legend, empty where no line has a point."""
  plot = line_plot(
    label,
    lines,
    x_label="recall",
    y_label="precision",
    x_range=(0.0, 1.0),
    y_range=(0.0, 1.0),
  )
  return plot + legend(lines) if plot else ""


def _points(coco: CocoMap, precision: np.ndarray) -> tuple[tuple[float, float], ...]:
  return tuple(zip(coco.recall_thresholds.tolist(), precision.tolist()))


def _mean_precision(coco: CocoMap, threshold: int) -> np.ndarray:
  """Float64 [101] over the categories that have objects, [0] if none has."""
  precision = coco.precision[threshold, :, :, 0]
  measured = precision[:, precision[0] > -1]
  return measured.mean(axis=1) if measured.size else np.zeros(0)


def _short(name: str, limit: int = 22) -> str:
  return name if len(name) <= limit else name[: limit - 1] + "…"
