"""COCO's JSON: `{"images": [...], "annotations": [...], "categories": [...]}`.

Segmentations, polygons or run lengths, are passed over. `iscrowd` and `area` may be
missing, and so may an image's size.
"""

from __future__ import annotations

import math
from typing import Any, TextIO

from hardmine.components.coco_gen.annotations import (
  AnnotationSet,
  Fault,
  Faulty,
  ListedImage,
  is_file_name,
  is_unicode,
)
from hardmine.components.coco_gen.json_stream import stream
from hardmine.schemas.config import require

_INT64 = range(-(1 << 63), 1 << 63)


def read_coco(file: TextIO, into: AnnotationSet) -> None:
  """Reads a COCO JSON file in one pass, in any order of its keys.

  Args:
    file: the text.
    into: gets images, categories, rows and faults.

  Raises:
    ValueError: not JSON, no images, no annotations' array, or bad categories.
  """
  num_images = num_annotations = 0
  for key, item in stream(file):
    if key == "annotations":
      _add_annotation(item, num_annotations, into)
      num_annotations += 1
    elif key == "images":
      _add_image(item, num_images, into)
      num_images += 1
    elif key == "categories":
      _add_category(item, into)
  require(num_images > 0, "a COCO JSON file that lists images", annotations=into.source)
  require(
    bool(into.categories),
    "a COCO JSON file that lists categories",
    annotations=into.source,
  )


def _add_image(item: Any, number: int, into: AnnotationSet) -> None:
  try:
    _expect_keys(item, ("id", "file_name"))
    file = item["file_name"]
    if not isinstance(file, str) or not is_file_name(file):
      raise Faulty("bad_structure", f"file_name {_short(file)} names no file")
    into.add_image(
      ListedImage(
        id=_whole(item, "id"),
        file=file,
        width_px=_side(item, "width"),
        height_px=_side(item, "height"),
      )
    )
  except Faulty as fault:
    reason, detail = fault.args
    into.image_faults.append(
      Fault(
        reason=reason,
        detail=f"images[{number}]: {detail}",
        image_id=_id_if_any(item, "id"),
        file=_text_if_any(item, "file_name"),
      )
    )


def _add_annotation(item: Any, number: int, into: AnnotationSet) -> None:
  try:
    _expect_keys(item, ("id", "image_id", "category_id", "bbox"))
    ids = [_whole(item, key) for key in ("id", "image_id", "category_id")]
    box = item["bbox"]
    if not isinstance(box, list) or len(box) != 4:
      raise Faulty("bad_structure", f"bbox {_short(box)} is not [x, y, width, height]")
    numbers = [_finite(value, "bbox", box) for value in box]
    area = math.nan if "area" not in item else _finite(item["area"], "area")
    crowd = item.get("iscrowd", 0)
    if crowd not in (0, 1):
      raise Faulty("bad_structure", f"iscrowd {_short(crowd)} is neither 0 nor 1")
    into.add_row((number, *ids, *numbers, area, int(crowd)))
  except Faulty as fault:
    reason, detail = fault.args
    into.add_fault(
      Fault(
        reason=reason,
        detail=f"annotations[{number}]: {detail}",
        image_id=_id_if_any(item, "image_id"),
        annotation_id=_id_if_any(item, "id"),
        number=number,
      )
    )


def _add_category(item: Any, into: AnnotationSet) -> None:
  """A category at fault makes labels doubtful, so it is refused with its file."""
  try:
    _expect_keys(item, ("id", "name"))
    number, name = _whole(item, "id"), item["name"]
    if not isinstance(name, str) or not name or not is_unicode(name):
      raise Faulty("bad_structure", f"name {_short(name)} is not a name")
    first = into.categories.setdefault(number, name)
    if first != name:
      raise Faulty("bad_structure", f"id {number} is {first!r} and {name!r}")
  except Faulty as fault:
    raise ValueError(
      f"Expected categories with ids and names ({fault.args[1]}). "
      f"Received: annotations={into.source!r}"
    ) from fault


def _expect_keys(item: Any, keys: tuple[str, ...]) -> None:
  if not isinstance(item, dict):
    raise Faulty("bad_structure", f"{_short(item)} is not an object")
  missing = [key for key in keys if key not in item]
  if missing:
    raise Faulty("bad_structure", f"without {', '.join(missing)}")


def _whole(item: dict, key: str) -> int:
  value = item[key]
  if type(value) is not int or value not in _INT64:
    raise Faulty("bad_structure", f"{key} {_short(value)} is not a whole number")
  return value


def _side(item: dict, key: str) -> int | None:
  value = item.get(key)
  if value is None:
    return None
  if type(value) not in (int, float) or not 1 <= value < 1 << 31 or value % 1:
    raise Faulty("bad_structure", f"{key} {_short(value)} is not a number of pixels")
  return int(value)


def _finite(value: Any, name: str, inside: list | None = None) -> float:
  if type(value) is float and math.isfinite(value):
    return value
  if type(value) is int and value in _INT64:  # float() refuses some beyond 1e308
    return float(value)
  where = f"{name} {_short(inside)}" if inside else name
  detail = f"{where}: {_short(value)} is not a finite number"
  raise Faulty("not_a_number", detail)


def _id_if_any(item: Any, key: str) -> int | None:
  value = item.get(key) if isinstance(item, dict) else None
  return value if type(value) is int and value in _INT64 else None


def _text_if_any(item: Any, key: str) -> str | None:
  value = item.get(key) if isinstance(item, dict) else None
  return value if isinstance(value, str) else None


def _short(value: Any) -> str:
  text = repr(value)
  return text if len(text) <= 60 else f"{text[:57]}..."
