"""Pascal VOC's XML: a folder with one file an image.

Such a set numbers nothing. Images count from 1 in order of their files' names, and
objects from 1 in that order, too. Corners become `[xmin, ymin, xmax - xmin, ymax -
ymin]` as they are, without Pascal's 1-based pixel taken off. `difficult` objects are
objects like all others. A size of 0 or -1, or none, is not given; without `filename`
the image is called as its XML file. Namespaces are passed over, and files that define
entities are refused: a few bytes of them can become gigabytes.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import math
import posixpath
from typing import Any, cast
from xml.etree import ElementTree
from xml.parsers import expat

from hardmine.components.coco_gen.annotations import (
  AnnotationSet,
  Fault,
  ListedImage,
  is_file_name,
)
from hardmine.components.jobs.sources import Source, read_source
from hardmine.schemas.coco_format import NOT_GIVEN, Faulty

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def list_xml(files: list[Source]) -> list[Source]:
  """The XML files right in a folder of annotations, in order of name."""
  return [file for file in files if is_xml(file.id) and "/" not in file.id]


def is_xml(name: str) -> bool:
  """Whether a file's name says so; a Mac's shadows of files (`._a.xml`) do not."""
  return name.lower().endswith(".xml") and not posixpath.basename(name).startswith("._")


def read_names(files: list[Source]) -> set[str]:
  """The names of all objects; files that cannot be read add none."""
  names: set[str] = set()
  for file in files:
    with contextlib.suppress(Faulty):
      names.update(_text(thing, "name") or "" for thing in _root(file).iter("object"))
  return names - {""}


def read_voc(
  files: list[Source], into: AnnotationSet, *, category_ids: dict[str, int]
) -> None:
  """Reads a folder.

  Args:
    files: of `list_xml`.
    into: gets images, rows and faults.
    category_ids: by name.
  """
  objects = itertools.count()
  for image_id, file in enumerate(files, 1):
    root = _read_image(file, image_id, into)
    if root is None:
      continue
    for thing in root.iter("object"):
      number = next(objects)
      try:
        category_id, *box = _read_object(thing, category_ids)
        into.add_row((number, number + 1, image_id, category_id, *box, math.nan, 0))
      except Faulty as fault:
        place = {"annotation_id": number + 1, "number": number}
        name = into.images[image_id].file
        into.add_fault(_fault(fault, file, image_id, name, **place))


def _read_image(file: Source, image_id: int, into: AnnotationSet) -> Any | None:
  """Adds the image of a file, or its fault. Returns the XML's root, if all is well."""
  name = None
  stem = posixpath.splitext(file.id)[0]
  try:
    root = _root(file)
    name = _text(root, "filename") or stem
    if not is_file_name(name):
      raise Faulty("bad_structure", f"<filename> {name!r} names no file")
    width_px, height_px = _side(root, "width"), _side(root, "height")
  except Faulty as fault:
    into.add_image_fault(_fault(fault, file, image_id, name))
    return None
  into.add_image(
    ListedImage(
      id=image_id, file=name, width_px=width_px, height_px=height_px, own_stem=stem
    )
  )
  return root


def _fault(
  fault: Faulty, file: Source, image_id: int, name: str | None, **place: int
) -> Fault:
  return Fault(
    reason=fault.reason,
    detail=f"{file.id}: {fault.detail}",
    image_id=image_id,
    file=name,
    **place,
  )


def _read_object(thing: Any, category_ids: dict[str, int]) -> tuple:
  """(category id, x, y, width, height), the box in pixels."""
  name = _text(thing, "name")
  if not name:
    raise Faulty("bad_structure", "an object without <name>")
  if name not in category_ids:
    raise Faulty(
      "unknown_category", f"{name!r} is no category{_near(name, category_ids)}"
    )
  texts = {corner: _text(thing, f"bndbox/{corner}") for corner in _CORNERS}
  missing = [corner for corner, text in texts.items() if not text]
  if missing:
    raise Faulty("bad_structure", f"an object without {', '.join(missing)}")
  try:
    xmin, ymin, xmax, ymax = (float(text or "") for text in texts.values())
  except ValueError:
    raise Faulty("not_a_number", f"corners {texts}") from None
  if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
    raise Faulty("not_a_number", f"corners {texts}")
  return category_ids[name], xmin, ymin, xmax - xmin, ymax - ymin


def _near(name: str, category_ids: dict[str, int]) -> str:
  folded = {known.casefold(): known for known in category_ids}
  near = difflib.get_close_matches(name.casefold(), folded, 1)
  return f"; the nearest is {folded[near[0]]!r}" if near else ""


def _root(file: Source) -> Any:
  """The root of a file's tree, all tags without their namespaces. Raises Faulty."""
  try:
    data = read_source(file.path)
  except OSError as error:
    detail = f"{type(error).__name__}: {error.strerror or error}"
    raise Faulty("unreadable", detail) from error
  try:
    root = _tree(data)
  except (expat.ExpatError, AssertionError, ValueError, LookupError) as error:
    raise Faulty("bad_structure", f"no XML ({error}){_encoding_hint(data)}") from error
  if root.tag != "annotation":
    raise Faulty("bad_structure", f"its root is <{root.tag}> instead of <annotation>")
  return root


def _tree(data: bytes) -> Any:
  builder = ElementTree.TreeBuilder()
  parser = expat.ParserCreate(namespace_separator=" ")  # `URI tag`
  parser.buffer_text = True

  def start(tag: str, attributes: dict[str, str]) -> None:
    builder.start(tag.rpartition(" ")[2], cast(Any, attributes))

  def end(tag: str) -> None:
    builder.end(tag.rpartition(" ")[2])

  def refuse(*_: Any) -> None:
    raise ValueError(f"it defines an entity: line {parser.CurrentLineNumber}")

  parser.StartElementHandler, parser.EndElementHandler = start, end
  parser.CharacterDataHandler = builder.data
  parser.EntityDeclHandler = refuse
  parser.Parse(data, True)
  return builder.close()


def _encoding_hint(data: bytes) -> str:
  if b"encoding" in data[:200]:
    return ""
  try:
    data.decode()
  except UnicodeDecodeError:
    return "; it declares no encoding and is not UTF-8: save it as UTF-8"
  return ""


def _text(element: Any, path: str) -> str | None:
  text = element.findtext(path)
  return None if text is None else text.strip()


def _side(root: Any, name: str) -> int | None:
  text = _text(root, f"size/{name}")
  if not text:
    return None
  try:
    value = float(text)
  except ValueError:
    value = math.nan
  if value in NOT_GIVEN:
    return None
  if not 0 < value < 1 << 31 or value % 1:
    raise Faulty("bad_structure", f"<{name}> {text[:20]!r} is no number of pixels")
  return int(value)
