"""COCO's JSON, by the rules of `schemas/coco_format`, into annotations."""

from __future__ import annotations

from typing import Any, BinaryIO

from hardmine.components.coco_gen.annotations import (
  AnnotationSet,
  Fault,
  ListedImage,
  is_file_name,
)
from hardmine.schemas import coco_format
from hardmine.schemas.coco_format import Faulty, id_if_any, short
from hardmine.schemas.config import require


def read_coco(file: BinaryIO, into: AnnotationSet) -> None:
  """Reads a COCO JSON file in one pass, in any order of its keys.

  Args:
    file: packed or not.
    into: gets images, categories, rows and faults.

  Raises:
    ValueError: not such a file, no image, no category, or bad categories.
  """
  num_images = 0
  for table, place, entry in coco_format.tables(file):
    if table == "annotations":
      _add_annotation(entry, place, into)
    elif table == "images":
      _add_image(entry, place, into)
      num_images += 1
    else:
      _add_category(entry, into)
  require(num_images > 0, "a COCO JSON file that lists images", annotations=into.source)
  require(
    bool(into.categories),
    "a COCO JSON file that lists categories",
    annotations=into.source,
  )


def _add_image(entry: Any, place: int, into: AnnotationSet) -> None:
  try:
    facts = coco_format.image(entry)
    file = entry.get("file_name")
    if not isinstance(file, str) or not is_file_name(file):
      raise Faulty("bad_structure", f"file_name {short(file)} names no file")
    into.add_image(ListedImage(file=file, **facts._asdict()))
  except Faulty as fault:
    file = entry.get("file_name") if isinstance(entry, dict) else None
    into.add_image_fault(
      Fault(
        reason=fault.reason,
        detail=f"images[{place}]: {fault.detail}",
        image_id=id_if_any(entry, "id"),
        file=file if isinstance(file, str) else None,
      )
    )


def _add_annotation(entry: Any, place: int, into: AnnotationSet) -> None:
  try:
    own, *others = coco_format.annotation(entry)
    into.add_row((place, -1 - place if own is None else own, *others))
  except Faulty as fault:
    into.add_fault(
      Fault(
        reason=fault.reason,
        detail=f"annotations[{place}]: {fault.detail}",
        image_id=id_if_any(entry, "image_id"),
        annotation_id=id_if_any(entry, "id"),
        number=place,
      )
    )


def _add_category(entry: Any, into: AnnotationSet) -> None:
  """A category at fault makes labels doubtful, so it is refused with its file."""
  try:
    number, name = coco_format.category(entry)
    first = into.categories.setdefault(number, name)
    if first != name:
      raise Faulty("bad_structure", f"id {number} is {first!r} and {name!r}")
  except Faulty as fault:
    raise ValueError(
      f"Expected categories with ids and names ({fault.detail}). "
      f"Received: annotations={into.source!r}"
    ) from fault
