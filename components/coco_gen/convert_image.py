"""One image and its annotations in, a record or a fault out. No files, no Beam.

Sizes and boxes are of the image as a viewer shows it: where EXIF says that a camera
was turned, the turned image, which is what people drew their boxes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import posixpath
from typing import Any

import numpy as np

from components.coco_gen.annotations import Fault, ListedImage
from schemas.categories import Categories
from schemas.coco_example import AnnotatedImage
from trainers.images import ImageError, PhotographFacts, check_photograph

_FORMATS = {"JPEG": "jpeg", "PNG": "png"}
# Annotations are rounded, here up and there down; a box that leaves by more is wrong.
_TOLERANCE_PX = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
  """A record, and what is to be counted beside it.

  Attributes:
    image: the record.
    notes: on the image, as in `trainers.images.Photograph`.
    num_clipped: boxes that left the image by up to a pixel, and were cut.
    faults: of annotations that were skipped.
  """

  image: AnnotatedImage
  notes: tuple[str, ...]
  num_clipped: int
  faults: list[Fault]


def convert_image(
  data: bytes,
  listed: ListedImage,
  rows: np.ndarray,
  categories: Categories,
  *,
  max_pixels: int,
) -> Converted | Fault:
  """Checks an image and its annotations, and makes their record.

  Args:
    data: the whole image file.
    listed: what the annotations say about it.
    rows: its annotations, `ROW` [n].
    categories: give labels and names.
    max_pixels: larger images are refused before they are decoded.

  Returns:
    A record, also when every annotation is at fault; or the image's fault.
  """
  try:
    facts = check_photograph(data, max_pixels=max_pixels)
    _check_facts(facts, listed)
  except ImageError as error:
    return image_fault(listed, error.reason, str(error))
  objects: list[tuple] = []
  faults: list[Fault] = []
  num_clipped = 0
  label_of, names = categories.label_of, categories.names
  for row in rows:
    found = _place(row, facts, label_of)
    if isinstance(found, Fault):
      faults.append(dataclasses.replace(found, file=listed.file))
      continue
    box, clipped = found
    num_clipped += clipped
    label = label_of[int(row["category_id"])]
    area = float(row["area_px"])
    if math.isnan(area):
      area = float(row["width_px"] * row["height_px"])
    objects.append((box, label, row, area))
  image = AnnotatedImage(
    encoded=data,
    format=_FORMATS[facts.format],
    filename=posixpath.normpath(listed.file),
    source_id=str(listed.id),
    sha256=hashlib.sha256(data).hexdigest(),
    height_px=facts.height_px,
    width_px=facts.width_px,
    boxes_yxyx_norm=np.array([o[0] for o in objects], np.float32).reshape(-1, 4),
    labels=np.array([o[1] for o in objects], np.int64),
    names=tuple(names[o[1] - 1] for o in objects),
    is_crowd=np.array([o[2]["is_crowd"] for o in objects], np.int64),
    areas_px=np.array([o[3] for o in objects], np.float32),
    category_ids=np.array([o[2]["category_id"] for o in objects], np.int64),
    annotation_ids=np.array([o[2]["annotation_id"] for o in objects], np.int64),
  )
  return Converted(
    image=image, notes=facts.notes, num_clipped=num_clipped, faults=faults
  )


def image_fault(listed: ListedImage, reason: str, detail: str) -> Fault:
  """The fault of a listed image."""
  return Fault(reason=reason, detail=detail, image_id=listed.id, file=listed.file)


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


def _place(
  row: Any, facts: PhotographFacts, label_of: dict[int, int]
) -> tuple[np.ndarray, bool] | Fault:
  """(ymin, xmin, ymax, xmax as float32 in [0, 1], whether it was clipped)."""
  x, y, width, height = (
    float(row[name]) for name in ("x_px", "y_px", "width_px", "height_px")
  )
  box = f"[{x:g}, {y:g}, {width:g}, {height:g}]"

  def fault(reason: str, detail: str) -> Fault:
    return Fault(
      reason=reason,
      detail=detail,
      image_id=int(row["image_id"]),
      annotation_id=int(row["annotation_id"]),
      number=int(row["number"]),
    )

  if int(row["category_id"]) not in label_of:
    return fault("unknown_category", f"category_id {row['category_id']}")
  if width <= 0 or height <= 0:
    return fault("zero_or_negative_size", f"bbox {box}")
  if row["area_px"] < 0:
    return fault("zero_or_negative_size", f"area {row['area_px']:g}")
  corners = np.array([y, x, y + height, x + width])
  limits = np.array([facts.height_px, facts.width_px] * 2)
  inside = np.clip(corners, 0, limits)
  norm = (inside / limits).astype(np.float32)
  flat = norm[0] >= norm[2] or norm[1] >= norm[3]
  if np.abs(corners - inside).max() > _TOLERANCE_PX or (
    flat and (corners != inside).any()
  ):
    return fault(
      "box_outside", f"bbox {box} of an image of {facts.width_px}x{facts.height_px}"
    )
  if flat:  # thinner than float32 can tell
    return fault("zero_or_negative_size", f"bbox {box}")
  return norm, bool((corners != inside).any())
