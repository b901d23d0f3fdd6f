"""The figures of the study, of rows as `tables.flat` gives them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hardmine.pipelines.studies.chart import Mark, Series, chart, key
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
_SIZE_COLOURS = dict(zip(SIZES, ("#d55e00", "#0072b2", "#1e293b")))


def figures(rows: Rows) -> list[tuple[str, str, str]]:
  """Name, caption and `<svg>` of every figure that there is something to draw in."""
  by_precision = any(row["AP"] is not None for row in rows)
  value = "AP, IoU 0.50 to 0.95" if by_precision else "multiply-adds, 10⁹"
  what = "Precision" if by_precision else "Multiply-adds"
  known = [row for row in rows if None not in (row["ms"], row["value"])]
  scaled = _value(by_precision)
  found = [
    (
      "tradeoff",
      f"{what} against time; grey: the frontier, which none beats in both",
      chart(
        f"{what} against time",
        [Series(marks=tuple(_mark(row, row["ms"], scaled(row)) for row in known))],
        x_label="milliseconds a picture",
        y_label=value,
        log_x=True,
        log_y=not by_precision,
        frontier=[
          (row["ms"], scaled(row))
          for name in frontier(rows)
          for row in known
          if row["name"] == name
        ],
      ),
    ),
    ("sizes", "Precision by size of the object", _sizes(known)),
    (
      "top-1",
      f"{what} against the extractor's own accuracy (ImageNet, top-1)",
      chart(
        f"{what} against top-1",
        [
          Series(
            marks=tuple(
              _mark(row, 100 * row["top_1"], scaled(row))
              for row in known
              if row["top_1"]
            )
          )
        ],
        x_label="top-1 of the extractor, per cent",
        y_label=value,
        log_y=not by_precision,
      ),
    ),
    *_against(known, "num_proposals", "number of proposals", by_precision),
    *_against(known, "resolution_px", "pixels of the shorter side", by_precision),
  ]
  return [one for one in found if one[2]]


def legend(rows: Rows) -> str:
  """Colours and shapes of what is in rows, as a list."""
  items = []
  for column, table in (
    ("feature_extractor", _COLOURS),
    ("meta_architecture", _SHAPES),
  ):
    for name in dict.fromkeys(row[column] for row in rows):
      color, shape = INK, "circle"
      if table is _COLOURS:
        color = _COLOURS.get(name, INK)
      else:
        shape = _SHAPES.get(name, "circle")
      items.append(f"<li>{key(color, shape)}{escaped(title(name))}</li>")
  return f'<ul class="legend">{"".join(items)}</ul>'


def title(name: str) -> str:
  """An extractor's or a meta-architecture's name for people."""
  return _TITLES.get(name, name)


def _value(by_precision: bool) -> Callable[[Mapping[str, Any]], float]:
  return lambda row: row["value"] if by_precision else row["value"] / 1e9


def _mark(row: Mapping[str, Any], x: float, y: float, color: str = "") -> Mark:
  return Mark(
    x=x,
    y=y,
    text=f"{row['name']}: {row['ms']:,.1f} ms",
    color=color or _COLOURS.get(row["feature_extractor"], INK),
    shape=_SHAPES.get(row["meta_architecture"], "circle"),
  )


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
    f"<li>{key(color, 'circle')}{size.removeprefix('AP_')}</li>"
    for size, color in _SIZE_COLOURS.items()
  )
  return plot and f'{plot}<ul class="legend">{"".join(items)}</ul>'


def _against(
  rows: Rows, column: str, x_label: str, by_precision: bool
) -> Iterable[tuple[str, str, str]]:
  """Time, and precision where it is known, of detectors that differ in one column."""
  groups = collections.defaultdict(list)
  others = [name for name in _CHOICES if name != column]
  for row in rows:
    if row[column] is not None:
      groups[tuple(row[name] for name in others)].append(row)
  several = [
    sorted(group, key=lambda row: row[column])
    for group in groups.values()
    if len({row[column] for row in group}) > 1
  ]
  for name, caption, y_label in (
    ("ms", "Time", "milliseconds a picture"),
    ("AP", "Precision", "AP, IoU 0.50 to 0.95"),
  ):
    if name == "AP" and not by_precision:
      continue
    series = [
      Series(
        marks=tuple(
          _mark(row, row[column], row[name]) for row in group if row[name] is not None
        ),
        joined=True,
        dashed=group[0]["output_stride"] == 8,
      )
      for group in several
    ]
    yield (
      f"{column.replace('_', '-')}-{name.lower()}",
      f"{caption} against {x_label}; dashed: output stride 8",
      chart(
        f"{caption} against {x_label}",
        [one for one in series if one.marks],
        x_label=x_label,
        y_label=y_label,
        log_y=name == "ms",
      ),
    )
