"""Pascal VOC's XML: a folder with one file an image.

Such a set numbers nothing. Images count from 1 in order of their files' names, and
objects from 1 in that order, too; a folder behind another goes on counting.
Corners become `[xmin, ymin, xmax - xmin, ymax - ymin]` as they are, without
Pascal's 1-based pixel taken off. `difficult` objects are objects like all others.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import Any
from xml.etree import ElementTree

import fsspec

from hardmine.components.coco_gen.annotations import (
  AnnotationSet,
  Fault,
  Faulty,
  ListedImage,
  is_file_name,
)
from hardmine.components.jobs.sources import Source

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def list_xml(files: list[Source]) -> list[Source]:
  """The XML files right in a folder of annotations, in order of name."""
  return [file for file in files if file.id.endswith(".xml") and "/" not in file.id]


def read_names(files: list[Source]) -> set[str]:
  """The names of all objects; files that cannot be read add none."""
  names: set[str] = set()
  for file in files:
    with contextlib.suppress(Faulty):
      names.update(_text(thing, "name") or "" for thing in _root(file).iter("object"))
  return names - {""}


def read_voc(
  files: list[Source],
  into: AnnotationSet,
  *,
  category_ids: dict[str, int],
  first_image: int = 1,
  first_object: int = 1,
) -> int:
  """Reads a folder.

  Args:
    files: of `list_xml`.
    into: gets images, rows and faults.
    category_ids: by name.
    first_image: the first image's id.
    first_object: the first object's id.

  Returns:
    The number of objects.
  """
  objects = itertools.count()
  for image_id, file in enumerate(files, first_image):
    read = _read_image(file, image_id, into)
    if read is None:
      continue
    root, name = read
    for thing in root.iter("object"):
      number = next(objects)
      annotation_id = first_object + number
      try:
        category_id, *box = _read_object(thing, category_ids)
        ids = (annotation_id, image_id, category_id)
        into.add_row((number, *ids, *box, math.nan, 0))
      except Faulty as fault:
        place = {"annotation_id": annotation_id, "number": number}
        into.add_fault(_fault(fault, file, image_id, name, **place))
  return next(objects)


def _read_image(
  file: Source, image_id: int, into: AnnotationSet
) -> tuple[Any, str] | None:
  """Adds the image of a file, or its fault. Returns (the XML's root, its name)."""
  name = None
  try:
    root = _root(file)
    name = _text(root, "filename")
    if not name or not is_file_name(name):
      raise Faulty("bad_structure", f"<filename> {name!r} names no file")
    width_px, height_px = _side(root, "width"), _side(root, "height")
  except Faulty as fault:
    into.image_faults.append(_fault(fault, file, image_id, name or None))
    return None
  into.add_image(
    ListedImage(id=image_id, file=name, width_px=width_px, height_px=height_px)
  )
  return root, name


def _fault(
  fault: Faulty, file: Source, image_id: int, name: str | None, **place: int
) -> Fault:
  reason, detail = fault.args
  detail = f"{file.id}: {detail}"
  return Fault(reason=reason, detail=detail, image_id=image_id, file=name, **place)


def _read_object(thing: Any, category_ids: dict[str, int]) -> tuple:
  """(category id, x, y, width, height), the box in pixels."""
  name = _text(thing, "name")
  if not name:
    raise Faulty("bad_structure", "an object without <name>")
  if name not in category_ids:
    raise Faulty("unknown_category", f"{name!r} is no category")
  texts = {corner: _text(thing, f"bndbox/{corner}") for corner in _CORNERS}
  missing = [corner for corner, text in texts.items() if text is None]
  if missing:
    raise Faulty("bad_structure", f"an object without {', '.join(missing)}")
  try:
    xmin, ymin, xmax, ymax = (float(text or "") for text in texts.values())
  except ValueError:
    raise Faulty("not_a_number", f"corners {texts}") from None
  if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
    raise Faulty("not_a_number", f"corners {texts}")
  return category_ids[name], xmin, ymin, xmax - xmin, ymax - ymin


def _root(file: Source) -> Any:
  try:
    with fsspec.open(file.path, "rb") as stream:
      return ElementTree.parse(stream).getroot()  # pyright: ignore[reportArgumentType]
  except (ElementTree.ParseError, ValueError, LookupError) as error:
    raise Faulty("bad_structure", f"no XML ({error})") from error
  except OSError as error:
    detail = f"{type(error).__name__}: {error.strerror or error}"
    raise Faulty("unreadable", detail) from error


def _text(element: Any, path: str) -> str | None:
  text = element.findtext(path)
  return None if text is None else text.strip()


def _side(root: Any, name: str) -> int | None:
  text = _text(root, f"size/{name}")
  if text is None:
    return None
  if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < 1 << 31:
    raise Faulty("bad_structure", f"<{name}> {text[:20]!r} is no number of pixels")
  return int(text)
