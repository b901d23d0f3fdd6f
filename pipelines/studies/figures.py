"""The figures of the study, of rows as `tables.flat` gives them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hardmine.pipelines.studies.chart import Mark, Series, chart, key, swatch
from hardmine.pipelines.studies.combinations import EXTRACTORS, META_ARCHITECTURES
from hardmine.pipelines.studies.tables import SIZES, frontier
from hardmine.serving.pages.conventions import INK
from hardmine.serving.pages.svg import escaped

Rows = Sequence[Mapping[str, Any]]

# Told apart in any order, also by most who confuse red and green (Okabe and Ito).
_COLOURS = dict(
  zip(EXTRACTORS, ("#8b5e3c", "#56b4e9", "#009e73", "#e69f00", "#0072b2", "#cc79a7"))
)
_SHAPES = dict(zip(META_ARCHITECTURES, ("circle", "square", "triangle")))
_TITLES = {
  "vgg_16": "VGG-16",
  "mobilenet_v1": "MobileNet v1",
  "inception_v2": "Inception V2",
  "inception_v3": "Inception V3",
  "resnet_101": "ResNet-101",
  "inception_resnet_v2": "Inception-ResNet V2",
  "faster_rcnn": "Faster R-CNN",
  "rfcn": "R-FCN",
  "ssd": "SSD",
}
_CHOICES = (
  *("meta_architecture", "feature_extractor", "output_stride", "width"),
  *("num_categories", "resolution_px", "num_proposals"),
)
# In words, on the axis, and its unit.
_MEASURES = {
  "ms": ("Time", "milliseconds a picture", 1.0),
  "AP": ("Precision", "AP, IoU 0.50 to 0.95", 1.0),
  "multiply_adds": ("Multiply-adds", "multiply-adds, 10⁹", 1e9),
}
_SIZE_COLOURS = dict(zip(SIZES, ("#d55e00", "#0072b2", "#1e293b")))


def figures(rows: Rows) -> list[tuple[str, str, str]]:
  """Name, caption and `<svg>` of every figure that there is something to draw in."""
  by_precision = any(row["AP"] is not None for row in rows)
  value = "AP, IoU 0.50 to 0.95" if by_precision else "multiply-adds, 10⁹"
  what = "Precision" if by_precision else "Multiply-adds"
  known = [row for row in rows if None not in (row["ms"], row["value"])]
  scaled = _value(by_precision)
  found = [
    _tradeoff(known, f"{what} against time", value, by_precision)
    if by_precision or any(row["measured"] for row in rows)
    else against_parameters(known),
    ("sizes", "Precision by size of the object", _sizes(known)),
    (
      "top-1",
      f"{what} against the extractor's own accuracy (ImageNet, top-1)",
      chart(
        f"{what} against top-1",
        [
          Series(
            marks=tuple(
              _mark(row, row["top_1"], scaled(row)) for row in known if row["top_1"]
            )
          )
        ],
        x_label="top-1 of the extractor, per cent",
        y_label=value,
        log_y=not by_precision,
      ),
    ),
    *(
      against(known, column, x_label, measure)
      for column, x_label in (
        ("num_proposals", "number of proposals"),
        ("resolution_px", "pixels of the shorter side"),
      )
      for measure in ("ms", "AP")
    ),
  ]
  return [one for one in found if one[2]]


def _tradeoff(
  known: Rows, label: str, value: str, by_precision: bool
) -> tuple[str, str, str]:
  scaled = _value(by_precision)
  by_name = {row["name"]: row for row in known}
  best = [by_name[name] for name in frontier(known)]
  plot = chart(
    label,
    [Series(marks=tuple(_mark(row, row["ms"], scaled(row)) for row in known))],
    x_label="milliseconds a picture",
    y_label=value,
    log_x=True,
    log_y=not by_precision,
    frontier=[(row["ms"], scaled(row)) for row in best],
  )
  return "tradeoff", f"{label}; grey: the frontier, which none beats in both", plot


def against_parameters(known: Rows) -> tuple[str, str, str]:
  """For estimates, which are made of multiply-adds and say nothing against these."""
  label = "Multiply-adds against parameters"
  plot = chart(
    label,
    [
      Series(
        marks=tuple(
          _mark(row, row["parameters"] / 1e6, row["multiply_adds"] / 1e9)
          for row in known
        )
      )
    ],
    x_label="parameters, millions",
    y_label="multiply-adds, 10⁹",
    log_x=True,
    log_y=True,
  )
  return "parameters", label, plot


def legend(rows: Rows) -> str:
  """Colours and shapes of what is in rows, as a list."""
  items = (
    f"<li>{swatch(color, shape)}{escaped(name)}</li>"
    for column in ("feature_extractor", "meta_architecture")
    for name, color, shape in _keys(rows, column)
  )
  return f'<ul class="legend">{"".join(items)}</ul>'


def keys(rows: Rows, column: str) -> list[tuple[str, str, str]]:
  """Of what is in a column: its name in words, its colour, and a mark in SVG."""
  return [(name, color, key(shape)) for name, color, shape in _keys(rows, column)]


def _keys(rows: Rows, column: str) -> list[tuple[str, str, str]]:
  by_color = column == "feature_extractor"
  return [
    (
      title(name),
      _COLOURS.get(name, INK) if by_color else INK,
      "circle" if by_color else _SHAPES.get(name, "circle"),
    )
    for name in dict.fromkeys(row[column] for row in rows)
  ]


def title(name: str) -> str:
  """An extractor's or a meta-architecture's name for people."""
  return _TITLES.get(name, name)


def _value(by_precision: bool) -> Callable[[Mapping[str, Any]], float]:
  return lambda row: row["value"] if by_precision else row["value"] / 1e9


def _mark(row: Mapping[str, Any], x: float, y: float, color: str = "") -> Mark:
  return Mark(
    x=x,
    y=y,
    text=_told(row),
    color=color or _COLOURS.get(row["feature_extractor"], INK),
    shape=_SHAPES.get(row["meta_architecture"], "circle"),
  )


def _told(row: Mapping[str, Any]) -> str:
  """What a detector is, and its time."""
  return row["name"] + (f": {row['ms']:,.1f} ms" if row["ms"] is not None else "")


def _network(row: Mapping[str, Any]) -> tuple[Any, ...]:
  return tuple(row[name] for name in _CHOICES[:-2])


def _sizes(rows: Rows) -> str:
  series = [
    Series(
      marks=tuple(
        _mark(row, row["ms"], row[size], color) for row in rows if row[size] is not None
      )
    )
    for size, color in _SIZE_COLOURS.items()
  ]
  plot = chart(
    "Precision by size of the object",
    series,
    x_label="milliseconds a picture",
    y_label="AP, IoU 0.50 to 0.95",
    log_x=True,
  )
  items = (
    f"<li>{swatch(color, 'circle')}{size.removeprefix('AP_')}</li>"
    for size, color in _SIZE_COLOURS.items()
  )
  return plot and f'{plot}<ul class="legend">{"".join(items)}</ul>'


def against(
  rows: Rows, column: str, x_label: str, measure: str
) -> tuple[str, str, str]:
  """What detectors that differ in one column make of it.

  Args:
    rows: of `tables.flat`.
    column: `num_proposals` or `resolution_px`.
    x_label: in words.
    measure: `ms`, `AP` or `multiply_adds`; rows that lack it are left out.
  """
  what, y_label, unit = _MEASURES[measure]
  if column == "resolution_px":  # a line a network, and not one a number of proposals
    most: dict[Any, int] = collections.defaultdict(int)
    for row in rows:
      most[_network(row)] = max(most[_network(row)], row["num_proposals"] or 0)
    rows = [row for row in rows if (row["num_proposals"] or 0) == most[_network(row)]]
  groups = collections.defaultdict(list)
  for row in rows:
    if row[column] is not None and row[measure] is not None:
      others = tuple(row[name] for name in _CHOICES if name != column)
      groups[others].append(row)
  series = []
  for group in groups.values():
    group.sort(key=lambda row: row[column])
    if len({row[column] for row in group}) > 1:
      marks = (_mark(row, row[column], row[measure] / unit) for row in group)
      series.append(
        Series(marks=tuple(marks), joined=True, dashed=group[0]["output_stride"] == 8)
      )
  plot = chart(
    f"{what} against the {x_label}",
    series,
    x_label=x_label,
    y_label=y_label,
    log_y=measure != "AP",
  )
  name = f"{column.replace('_', '-')}-{measure.replace('_', '-').lower()}"
  return name, f"{what} against the {x_label}; dashed: output stride 8", plot
