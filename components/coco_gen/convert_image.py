"""One image and its annotations in, a record or a fault out. No files, no Beam.

Sizes and boxes are of the image as a viewer shows it: where EXIF says that a camera
was turned, the turned image, which is what people drew their boxes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import posixpath
from typing import NamedTuple

import numpy as np

from hardmine.components.coco_gen.annotations import Fault, ListedImage
from hardmine.components.coco_gen.image_files import image_fault
from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import AnnotatedImage
from hardmine.trainers.images import ImageError, PhotographFacts, check_photograph

_FORMATS = {"JPEG": "jpeg", "PNG": "png"}
# Annotations are rounded, here up and there down; a box that leaves by more is wrong.
_TOLERANCE_PX = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
  """A record, and what is to be counted beside it.

  Attributes:
    image: the record.
    notes: on the image, as in `hardmine.trainers.images.Photograph`.
    num_clipped: boxes that left the image by up to a pixel, and were cut.
    faults: of annotations that were skipped.
  """

  image: AnnotatedImage
  notes: tuple[str, ...]
  num_clipped: int
  faults: list[Fault]


class _Annotation(NamedTuple):
  """A row, with the fields of `ROW`."""

  number: int
  annotation_id: int
  image_id: int
  category_id: int
  x_px: float
  y_px: float
  width_px: float
  height_px: float
  area_px: float
  is_crowd: int


class _Object(NamedTuple):
  """An annotation that is right, with the fields of `AnnotatedImage`."""

  box_yxyx_norm: tuple[np.float32, np.float32, np.float32, np.float32]
  label: int
  is_crowd: int
  area_px: float
  category_id: int
  annotation_id: int
  clipped: bool


def convert_image(
  data: bytes,
  listed: ListedImage,
  rows: np.ndarray,
  categories: Categories,
  *,
  max_pixels: int,
  source: int = 0,
) -> Converted | Fault:
  """Checks an image and its annotations, and makes their record.

  Args:
    data: the whole image file.
    listed: what the annotations say about it.
    rows: its annotations, `ROW` [n].
    categories: give labels and names.
    max_pixels: larger images are refused before they are decoded.
    source: where the image comes from, as records say it.

  Returns:
    A record, also when every annotation is at fault; or the image's fault.
  """
  try:
    facts = check_photograph(data, max_pixels=max_pixels)
    _check_facts(facts, listed)
  except ImageError as error:
    return image_fault(listed, error.reason, str(error))
  objects: list[_Object] = []
  faults: list[Fault] = []
  label_of = categories.label_of
  for values in rows.tolist():  # in bulk, which is faster than one by one
    found = _object(_Annotation(*values), facts, label_of)
    if isinstance(found, Fault):
      faults.append(dataclasses.replace(found, file=listed.file))
    else:
      objects.append(found)
  return Converted(
    image=_record(data, listed, facts, objects, categories, source),
    notes=facts.notes,
    num_clipped=sum(thing.clipped for thing in objects),
    faults=faults,
  )


def _record(
  data: bytes,
  listed: ListedImage,
  facts: PhotographFacts,
  objects: list[_Object],
  categories: Categories,
  source: int,
) -> AnnotatedImage:
  def column(name: str, kind: type = np.int64) -> np.ndarray:
    return np.array([getattr(thing, name) for thing in objects], kind)

  return AnnotatedImage(
    encoded=data,
    format=_FORMATS[facts.format],
    filename=posixpath.normpath(listed.file),
    source_id=str(listed.id),
    sha256=hashlib.sha256(data).hexdigest(),
    height_px=facts.height_px,
    width_px=facts.width_px,
    boxes_yxyx_norm=column("box_yxyx_norm", np.float32).reshape(-1, 4),
    labels=column("label"),
    names=tuple(categories.names[thing.label - 1] for thing in objects),
    is_crowd=column("is_crowd"),
    areas_px=column("area_px", np.float32),
    category_ids=column("category_id"),
    annotation_ids=column("annotation_id"),
    source=source,
  )


def _check_facts(facts: PhotographFacts, listed: ListedImage) -> None:
  if facts.format not in _FORMATS:
    raise ImageError(
      "unsupported_format", f"Expected a JPEG or PNG file. Received: {facts.format}"
    )
  said = (listed.width_px or facts.width_px, listed.height_px or facts.height_px)
  if said != (facts.width_px, facts.height_px):
    turned = "turned" in facts.notes and said == (facts.height_px, facts.width_px)
    hint = ", as it is stored; EXIF turns it" if turned else ""
    raise ImageError(
      "size_mismatch",
      f"Expected {facts.width_px}x{facts.height_px}, as the file is shown. "
      f"Received: {said[0]}x{said[1]} in the annotations{hint}",
    )


def _object(
  given: _Annotation, facts: PhotographFacts, label_of: dict[int, int]
) -> _Object | Fault:
  x, y, width, height = given.x_px, given.y_px, given.width_px, given.height_px
  if given.category_id not in label_of:
    return _fault(given, "unknown_category", f"category_id {given.category_id}")
  if width <= 0 or height <= 0:
    return _fault(given, "zero_or_negative_size", _box(given))
  corners = (y, x, y + height, x + width)
  limits = (facts.height_px, facts.width_px) * 2
  outside = max(max(-c, c - limit) for c, limit in zip(corners, limits))
  ymin, xmin, ymax, xmax = (
    np.float32(min(max(c, 0.0), limit) / limit) for c, limit in zip(corners, limits)
  )
  flat = ymin >= ymax or xmin >= xmax
  if outside > _TOLERANCE_PX or (outside > 0 and flat):
    shown = f"{facts.width_px}x{facts.height_px}"
    return _fault(given, "box_outside", f"{_box(given)} of an image of {shown}")
  if flat:  # thinner than float32 can tell
    return _fault(given, "zero_or_negative_size", _box(given))
  return _Object(
    box_yxyx_norm=(ymin, xmin, ymax, xmax),
    label=label_of[given.category_id],
    is_crowd=given.is_crowd,
    area_px=width * height if math.isnan(given.area_px) else given.area_px,
    category_id=given.category_id,
    annotation_id=given.annotation_id,
    clipped=outside > 0,
  )


def _box(given: _Annotation) -> str:
  numbers = (given.x_px, given.y_px, given.width_px, given.height_px)
  return f"bbox [{', '.join(f'{number:g}' for number in numbers)}]"


def _fault(given: _Annotation, reason: str, detail: str) -> Fault:
  return Fault(
    reason=reason,
    detail=detail,
    image_id=given.image_id,
    annotation_id=given.annotation_id,
    number=given.number,
  )
