"""COCO's JSON files of annotations and of detections, checked entry by entry."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes, GroundTruth


def read_ground_truth(path: str | os.PathLike) -> GroundTruth:
  """Reads a COCO file of instances: `images`, `categories` and `annotations`.

  `iscrowd` may be absent and is 0 then; outlines are not read.

  Raises:
    ValueError: not such a file; the text names the file, the entry and its image.
    OSError: it cannot be read.
  """
  content = _load(path)
  if not isinstance(content, dict):
    raise ValueError(
      f"{path}: Expected a COCO object. Received: {type(content).__name__}"
    )
  images = _rows(path, content, "images", _id)
  categories = _rows(path, content, "categories", lambda e: (_id(e), _name(e)))
  category_ids, names = _columns(categories, 2)
  _require_unique(path, "images", images)
  _require_unique(path, "categories", category_ids)
  listed = (set(images), set(category_ids))
  annotations = _rows(path, content, "annotations", lambda e: _annotation(e, *listed))
  ids, box_images, box_categories, boxes, areas, crowds = _columns(annotations, 6)
  _require_unique(path, "annotations", ids)
  return GroundTruth(
    image_ids=np.array(images, np.int64),
    category_ids=np.array(category_ids, np.int64),
    box_image_ids=np.array(box_images, np.int64),
    box_category_ids=np.array(box_categories, np.int64),
    boxes_xywh_px=np.array(boxes, np.float64).reshape(-1, 4),
    areas_px=np.array(areas, np.float64),
    is_crowd=np.array(crowds, bool),
    category_names=names,
  )


def read_detections(
  path: str | os.PathLike, ground_truth: GroundTruth | None = None
) -> DetectedBoxes:
  """Reads COCO's results format: a list of image_id, category_id, bbox and score.

  Args:
    path: the file.
    ground_truth: when given, an image or category that it does not list is refused.

  Raises:
    ValueError: not such a file; the text names the file, the entry and its image.
    OSError: it cannot be read.
  """
  content = _load(path)
  if not isinstance(content, list):
    raise ValueError(
      f"{path}: Expected a list of detections. Received: {type(content).__name__}"
    )
  images = categories = None
  if ground_truth is not None:
    images = set(ground_truth.image_ids.tolist())
    categories = set(ground_truth.category_ids.tolist())
  rows = _rows(
    path, {"detections": content}, "detections", lambda e: _found(e, images, categories)
  )
  image_ids, category_ids, boxes, scores = _columns(rows, 4)
  return DetectedBoxes(
    image_ids=np.array(image_ids, np.int64),
    category_ids=np.array(category_ids, np.int64),
    boxes_xywh_px=np.array(boxes, np.float64).reshape(-1, 4),
    scores=np.array(scores, np.float64),
  )


def _load(path: str | os.PathLike) -> Any:
  with open(path, "rb") as file:
    content = file.read()
  try:
    return json.loads(content)
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f"{path}: Expected JSON ({error})") from error


def _rows(path, content: dict, key: str, parse: Callable[[dict], Any]) -> list:
  """What `parse` makes of every entry; its errors get the file and the entry."""
  entries = content.get(key)
  if not isinstance(entries, list):
    raise ValueError(
      f"{path}: Expected a list of {key}. Received: {type(entries).__name__}"
    )
  rows = []
  for index, entry in enumerate(entries):
    try:
      require(isinstance(entry, dict), "an object", entry=entry)
      rows.append(parse(entry))
    except ValueError as error:
      image = entry.get("image_id") if isinstance(entry, dict) else None
      where = f"{key}[{index}]" + ("" if image is None else f" of image {image}")
      raise ValueError(f"{path}: {where}: {error}") from error
  return rows


def _columns(rows: list[tuple], num_columns: int) -> list[tuple]:
  return list(zip(*rows)) if rows else [()] * num_columns


def _require_unique(path, name: str, ids: Sequence[int]) -> None:
  if len(set(ids)) < len(ids):
    seen: set[int] = set()
    for index, one in enumerate(ids):
      if one in seen:
        raise ValueError(
          f"{path}: {name}[{index}]: Expected unique ids. Received: id={one} again"
        )
      seen.add(one)


def _annotation(entry: dict, images: set[int], categories: set[int]) -> tuple:
  crowd = entry.get("iscrowd", 0)
  require(crowd in (0, 1), "iscrowd 0 or 1", iscrowd=crowd)
  area = _number(entry, "area")
  require(area >= 0, "an area of 0 or more", area=area)
  return _id(entry), *_place(entry, images, categories), _box(entry), area, bool(crowd)


def _found(entry: dict, images: set | None, categories: set | None) -> tuple:
  place = _place(entry, images, categories)
  return *place, _box(entry), _number(entry, "score")


def _place(entry: dict, images: set | None, categories: set | None) -> tuple[int, int]:
  image, category = _id(entry, "image_id"), _id(entry, "category_id")
  if images is not None:
    require(image in images, "an image that the annotations list", image_id=image)
  if categories is not None:
    require(
      category in categories,
      "a category that the annotations list",
      category_id=category,
    )
  return image, category


def _id(entry: dict, key: str = "id") -> int:
  value = _number(entry, key)
  require(
    value == int(value) and abs(value) < 2**63, f"{key} as an integer", **{key: value}
  )
  return int(value)


def _name(entry: dict) -> str:
  return str(entry.get("name", entry["id"]))


def _box(entry: dict) -> list[float]:
  require("bbox" in entry, "the key bbox", keys=sorted(entry))
  box = entry["bbox"]
  require(
    isinstance(box, list)
    and len(box) == 4
    and all(_is_finite(value) for value in box)
    and box[2] >= 0
    and box[3] >= 0,
    "bbox as 4 finite numbers, the last two (width, height) 0 or more",
    bbox=box,
  )
  return box


def _number(entry: dict, key: str) -> int | float:
  require(key in entry, f"the key {key}", keys=sorted(entry))
  require(_is_finite(entry[key]), f"{key} as a finite number", **{key: entry[key]})
  return entry[key]


def _is_finite(value: Any) -> bool:
  if isinstance(value, bool) or not isinstance(value, (int, float)):
    return False
  try:
    return math.isfinite(value)
  except OverflowError:  # an integer beyond every float
    return False
