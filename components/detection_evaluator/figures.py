"""Plots of a detector's precision, as text that fits inside an HTML page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hardmine.components.detection_evaluator.annotated_set import AnnotatedSet
from hardmine.components.detection_evaluator.measurement import Measurement
from hardmine.serving.pages.pictures import ACCENT, INK, RIVAL, plot_svg
from hardmine.trainers.metrics.coco_map import AREAS, CocoMap

AREA_BORDERS_PX = (32**2, 96**2)  # between small, medium and large
MAX_CURVES = 8  # of categories in one plot; more are no longer told apart
MIN_OBJECTS = 10  # with fewer, a category's curve is a few steps at the extremes
_COLOURS = (ACCENT, RIVAL)
# Told apart in any order, also by most who confuse red and green (Okabe and Ito).
_MANY_COLOURS = (
  *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
  *("#e69f00", "#56b4e9", "#8b5e3c", "#1e293b"),
)
_AP_NAMES = ("AP", "AP_small", "AP_medium", "AP_large")  # in the order of AREAS


def sizes_svg(measurements: Sequence[Measurement], data: AnnotatedSet) -> str:
  """Bars: AP of objects of all sizes, and of the small, medium and large ones."""
  areas_px = data.truth.areas_px[~data.truth.is_crowd]
  sizes = np.searchsorted(AREA_BORDERS_PX, areas_px, side="right")
  counts = [len(sizes), *np.bincount(sizes, minlength=3).tolist()]

  def draw(axes) -> None:
    width = 0.72 / len(measurements)
    for rank, one in enumerate(measurements):
      for column, name in enumerate(_AP_NAMES):
        value = one.coco.summary[name]
        x = column + width * (rank - (len(measurements) - 1) / 2)
        label = one.title if column == 0 else None
        axes.bar(x, max(value, 0), 0.92 * width, color=_COLOURS[rank], label=label)
        text = f"{value:.3f}" if value >= 0 else "none"
        axes.text(x, max(value, 0) + 0.012, text, ha="center", fontsize=8, color=INK)
    names = (f"{area}\n{count:,} objects" for area, count in zip(AREAS, counts))
    axes.set_xticks(range(len(AREAS)), names)
    highest = max(one.coco.summary[name] for one in measurements for name in _AP_NAMES)
    axes.set_ylim(0, min(1.08, max(0.1, 1.2 * highest)))
    axes.set_ylabel("AP, IoU 0.50 to 0.95")
    axes.grid(visible=False, axis="x")
    if len(measurements) > 1:
      _legend_below(axes, -0.2)

  return plot_svg("sizes", draw)


def mean_curves_svg(measurements: Sequence[Measurement]) -> str:
  """Precision against recall, means over the categories, at IoU 0.50 and 0.75."""

  def draw(axes) -> None:
    for rank, one in enumerate(measurements):
      for threshold, dashes in ((0, "-"), (5, (0, (4, 2)))):
        iou = f"{one.coco.iou_thresholds[threshold]:.2f}"
        axes.plot(
          one.coco.recall_thresholds,
          _mean_precision(one.coco, threshold),
          color=_COLOURS[rank],
          linestyle=dashes,
          linewidth=2.4 - 0.8 * rank,
          zorder=10 - rank,
          label=f"{one.title}, IoU {iou}",
        )
    _unit_square(axes)
    _legend_below(axes, -0.14)

  return plot_svg("mean_curves", draw)


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


def category_curves_svg(
  measurement: Measurement, data: AnnotatedSet, shown: Sequence[int]
) -> str:
  """Precision against recall at IoU 0.50, of the categories in some positions."""

  def draw(axes) -> None:
    for color, column in zip(_MANY_COLOURS, shown):
      category = data.categories.categories[column]
      average = measurement.coco.per_category[category.id]["AP50"]
      axes.plot(
        measurement.coco.recall_thresholds,
        measurement.coco.precision[0, :, column, 0],
        color=color,
        linewidth=1.7,
        label=f"{_short(category.name)}, AP50 {average:.2f}",
      )
    _unit_square(axes)
    _legend_below(axes, -0.13)

  return plot_svg("category_curves", draw, (6.0, 5.0))


def by_precision(measurement: Measurement, data: AnnotatedSet) -> list[int]:
  """Positions of the categories that have objects, those of highest AP first."""
  precisions = [
    measurement.coco.per_category[category_id]["AP"]
    for category_id in data.categories.ids
  ]
  order = np.argsort([-value for value in precisions], kind="stable").tolist()
  return [column for column in order if precisions[column] >= 0]


def _mean_precision(coco: CocoMap, threshold: int) -> np.ndarray:
  """Float64 [101] over the categories that have objects; not a number if none has."""
  precision = coco.precision[threshold, :, :, 0]
  measured = precision[:, precision[0] > -1]
  return measured.mean(axis=1) if measured.size else np.full(len(precision), np.nan)


def _unit_square(axes) -> None:
  axes.set_xlim(0, 1)
  axes.set_ylim(0, 1.02)
  axes.set_xlabel("recall")
  axes.set_ylabel("precision")


def _legend_below(axes, y: float) -> None:
  """Where it hides no curve, good or bad."""
  axes.legend(
    loc="upper center",
    bbox_to_anchor=(0.5, y),
    ncols=2,
    frameon=False,
    fontsize=8.5,
    labelcolor=INK,
  )


def _short(name: str, limit: int = 22) -> str:
  return name if len(name) <= limit else name[: limit - 1] + "…"
