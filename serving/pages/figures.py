"""The plots that a report and a board both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hardmine.serving.pages.conventions import ACCENT, METRICS, RIVAL, UNITS
from hardmine.serving.pages.plots import Bars, Line, bar_plot, line_plot
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP

SIZES = {"AP": "all", "AP_small": "small", "AP_medium": "medium", "AP_large": "large"}


def rate_distortion(lines: Sequence[Line], metric: str) -> str:
  """Codecs' curves of a metric over bits per pixel, as an `<svg>` element.

  Args:
    lines: of (bits per pixel, value), the most telling first.
    metric: one of METRICS.
  """
  return line_plot(
    f"{METRICS[metric]}{UNITS[metric]} over bits per pixel",
    lines,
    x_label="bits per pixel",
    x_range=(0.0, HIGHEST_BPP),
    y_range=(None, 1.0 if metric == "ms_ssim" else None),
  )


def size_bars(title: str, numbers: Mapping[str, float], *, rival: bool = False) -> Bars:
  """A detector's average precision, of objects of all sizes and by size.

  Args:
    title: its name in the legend.
    numbers: COCO's, by name; those below 0 or absent were not measured.
    rival: whether it is the one to compare with.
  """
  found = [numbers.get(name, -1.0) for name in SIZES]
  return Bars(
    title=title,
    values=tuple(value if value >= 0 else None for value in found),
    color=RIVAL if rival else ACCENT,
  )


def precision_by_size(bars: Sequence[Bars], counts: Sequence[int] = ()) -> str:
  """What `size_bars` gives of one detector or two, as an `<svg>` element.

  Args:
    bars: in the order of the legend.
    counts: of objects of each size, where they are known.
  """
  groups = list(SIZES.values())
  if counts:
    groups = [f"{name}\n{num:,} objects" for name, num in zip(groups, counts)]
  return bar_plot(
    "AP by size of the object", groups, bars, y_label="AP, IoU 0.50 to 0.95"
  )
