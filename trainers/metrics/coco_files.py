"""COCO's JSON files of annotations and of detections, by the rules of `coco_format`.

A measure is of all that was annotated: where a conversion leaves an entry at fault out
and counts it, a file with one is refused here.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hardmine.schemas import coco_format
from hardmine.schemas.coco_format import AnnotationEntry, Faulty
from hardmine.schemas.config import require
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes, GroundTruth


def read_ground_truth(path: str | os.PathLike) -> GroundTruth:
  """Reads a COCO file of instances: `images`, `categories` and `annotations`.

  Raises:
    ValueError: not such a file, or one with an entry at fault; the text names the
      file, the entry and its image.
    OSError: it cannot be read.
  """
  images: dict[int, int] = {}  # id: place
  categories: dict[int, str] = {}
  rows: list[AnnotationEntry] = []
  with _named(path), open(path, "rb") as file:
    for table, place, entry in coco_format.tables(file):
      with _entry(table, place, entry):
        if table == "annotations":
          rows.append(_annotation(entry))
        elif table == "images":
          number = coco_format.image(entry).id
          require(images.setdefault(number, place) == place, "unique ids", id=number)
        else:
          number, name = coco_format.category(entry)
          first = categories.setdefault(number, name)
          require(first == name, f"unique ids ({number} is {first!r})", name=name)
    for place, row in enumerate(rows):
      with _entry("annotations", place, row._asdict()):
        _require_listed(row, images, categories)
    _require_no_repeats(rows)
  return _ground_truth(list(images), categories, rows)


def read_detections(
  path: str | os.PathLike, ground_truth: GroundTruth | None = None
) -> DetectedBoxes:
  """Reads COCO's results format: a list of image_id, category_id, bbox and score.

  Args:
    path: the file, packed or not.
    ground_truth: when given, an image or category that it does not list is refused.

  Raises:
    ValueError: not such a file; the text names the file, the entry and its image.
    OSError: it cannot be read.
  """
  images = categories = None
  if ground_truth is not None:
    images = set(ground_truth.image_ids.tolist())
    categories = set(ground_truth.category_ids.tolist())
  rows: list[AnnotationEntry] = []
  scores: list[float] = []
  with _named(path):
    for place, entry in enumerate(_results(path)):
      with _entry("detections", place, entry):
        row = _annotation(_without_extras(entry))
        if images is not None and categories is not None:
          _require_listed(row, images, categories)
        scores.append(_score(entry))
        rows.append(row)
  return DetectedBoxes(
    image_ids=np.array([row.image_id for row in rows], np.int64),
    category_ids=np.array([row.category_id for row in rows], np.int64),
    boxes_xywh_px=_boxes(rows),
    scores=np.array(scores, np.float64),
  )


def _ground_truth(
  images: list[int], categories: dict[int, str], rows: Sequence[AnnotationEntry]
) -> GroundTruth:
  areas = (
    row.width_px * row.height_px if math.isnan(row.area_px) else row.area_px
    for row in rows
  )
  return GroundTruth(
    image_ids=np.array(images, np.int64),
    category_ids=np.array(list(categories), np.int64),
    box_image_ids=np.array([row.image_id for row in rows], np.int64),
    box_category_ids=np.array([row.category_id for row in rows], np.int64),
    boxes_xywh_px=_boxes(rows),
    areas_px=np.array(list(areas), np.float64),
    is_crowd=np.array([row.is_crowd for row in rows], bool),
    category_names=tuple(categories.values()),
  )


def _boxes(rows: Sequence[AnnotationEntry]) -> np.ndarray:
  boxes = [(row.x_px, row.y_px, row.width_px, row.height_px) for row in rows]
  return np.array(boxes, np.float64).reshape(-1, 4)


def _results(path: str | os.PathLike) -> list[Any]:
  with open(path, "rb") as file, coco_format.unpacking():
    try:
      content = json.load(coco_format.unpacked(file))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
      raise ValueError(f"Expected JSON ({error})") from error
  if not isinstance(content, list):
    raise ValueError(
      f"Expected a list of detections. Received: {type(content).__name__}"
    )
  return content


def _annotation(entry: Any) -> AnnotationEntry:
  row = coco_format.annotation(entry)
  require(
    row.width_px >= 0 and row.height_px >= 0,
    "bbox with a width and a height of 0 or more",
    bbox=entry["bbox"],
  )
  return row


def _without_extras(entry: Any) -> Any:
  """A detection as an annotation; tools add areas and more, which do not count."""
  if not isinstance(entry, dict):
    return entry
  return {key: entry.get(key) for key in ("image_id", "category_id", "bbox")}


def _score(entry: dict[str, Any]) -> float:
  if entry.get("score") is None:
    raise Faulty("bad_structure", "without score")
  return coco_format.finite(entry["score"], "score ")


def _require_listed(row: AnnotationEntry, images: Any, categories: Any) -> None:
  require(
    row.image_id in images, "an image that the annotations list", image_id=row.image_id
  )
  require(
    row.category_id in categories,
    "a category that the annotations list",
    category_id=row.category_id,
  )


def _require_no_repeats(rows: Sequence[AnnotationEntry]) -> None:
  first: dict[AnnotationEntry, int] = {}
  for place, row in enumerate(rows):
    if row.id is not None and first.setdefault(row, place) != place:
      with _entry("annotations", place, row._asdict()):
        raise Faulty("duplicate_annotation", f"annotations[{first[row]}] once more")


@contextlib.contextmanager
def _named(path: str | os.PathLike) -> Iterator[None]:
  """Errors about a file's content get its name."""
  try:
    yield
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


@contextlib.contextmanager
def _entry(table: str, place: int, entry: Any) -> Iterator[None]:
  """Errors about an entry get its place and its image."""
  try:
    yield
  except ValueError as error:
    image = entry.get("image_id") if isinstance(entry, dict) else None
    where = f"{table}[{place}]" + ("" if image is None else f" of image {image}")
    text = f"Expected an entry of COCO's. Received: {error}"
    raise ValueError(
      f"{where}: {text if isinstance(error, Faulty) else error}"
    ) from error
