"""COCO's JSON of annotated images: the rules by which every command reads it.

    {"images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
     "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0,
                      "bbox": [x, y, width, height], "area": 200.5}],
     "categories": [{"id": 3, "name": "cat"}]}

* The text is UTF-8, with a byte order mark or without. It may be packed by gzip, bzip2,
  xz, or as the one file of a zip: its first bytes tell, whatever its name.
* All three lists must be there, each once. Other keys are passed over, outlines too.
* null is a key that is missing.
* An id is a whole number of 64 bits. `1.0` is 1; `"1"` is text, and refused.
* No image's id may stand twice: which of the two an annotation means, nobody knows.
* A category's id may stand twice with one name. A missing name is the id.
* An annotation's id may be missing or stand twice, since nothing refers to it. Only
  the same object, written twice in all its fields, is a fault.
* A width or a height of an image of 0 or -1 is not given.
* A missing area is width times height of the box. One of 0 stays, as in pycocotools.
* A missing `iscrowd` is 0.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from hardmine.schemas.json_stream import stream

TABLES = ("images", "annotations", "categories")
NOT_GIVEN = (0, -1)  # what exporters write for a side that they do not know
_INT64 = range(-(1 << 63), 1 << 63)
_HEAD = 6  # bytes that tell how a file is packed
_BROKEN = (
  EOFError,
  gzip.BadGzipFile,
  lzma.LZMAError,
  zipfile.BadZipFile,
  zlib.error,
)


class Faulty(ValueError):
  """An entry that cannot be used.

  Attributes:
    reason: a word to count by.
    detail: what was found.
  """

  def __init__(self, reason: str, detail: str):
    super().__init__(detail)
    self.reason, self.detail = reason, detail


class ImageEntry(NamedTuple):
  """An image; sides are None where they are not given."""

  id: int
  width_px: int | None
  height_px: int | None


class AnnotationEntry(NamedTuple):
  """An annotation; its id is None and its area NaN where they are not given."""

  id: int | None
  image_id: int
  category_id: int
  x_px: float
  y_px: float
  width_px: float
  height_px: float
  area_px: float
  is_crowd: int


def tables(
  file: BinaryIO, needed: Collection[str] = TABLES
) -> Iterator[tuple[str, int, Any]]:
  """Yields the entries of the three lists, in the order of the file.

  Args:
    file: a file of COCO's, packed or not.
    needed: the lists that must be there; one of images alone has no annotations.

  Yields:
    (the list's name, the place in it from 0, the entry, which may be anything).

  Raises:
    ValueError: no JSON, no object, or a list that is missing or there twice.
  """
  arrays: list[str] = []
  places = dict.fromkeys(TABLES, 0)
  others: dict[str, str] = {}
  with unpacking():
    for key, entry in stream(unpacked(file), arrays):
      if key not in places:
        continue
      if key not in arrays:
        others[key] = f"{'null' if entry is None else type(entry).__name__} as {key}"
        continue
      yield key, places[key], entry
      places[key] += 1
  for name in needed:
    if arrays.count(name) != 1:
      received = f"{name} twice" if name in arrays else others.get(name, f"no {name}")
      raise ValueError(
        f"Expected a COCO object with the lists {', '.join(needed)}. "
        f"Received: {received}"
      )


def unpacked(file: BinaryIO) -> TextIO:
  """The text of a file, whatever packs it.

  Raises:
    ValueError: a zip of no file or of several.
  """
  binary: Any = file
  if hasattr(binary, "peek"):  # a pipe cannot go back
    head = binary.peek(_HEAD)[:_HEAD]
  else:
    head = binary.read(_HEAD)
    binary.seek(0)
  for beginning, unpack in _PACKED.items():
    if head.startswith(beginning):
      binary = unpack(binary)
      break
  return io.TextIOWrapper(cast(Any, binary), encoding="utf-8-sig")


def image(entry: Any) -> ImageEntry:
  """What an image's entry says of its size. Raises Faulty."""
  _expect(entry, "id")
  return ImageEntry(whole(entry, "id"), _side(entry, "width"), _side(entry, "height"))


def annotation(entry: Any) -> AnnotationEntry:
  """What an annotation's entry says. Raises Faulty."""
  _expect(entry, "image_id", "category_id", "bbox")
  box = entry["bbox"]
  if not isinstance(box, list) or len(box) != 4:
    raise Faulty("bad_structure", f"bbox {short(box)} is not [x, y, width, height]")
  x_px, y_px, width_px, height_px = (
    finite(value, f"bbox {short(box)}: ") for value in box
  )
  area, crowd = entry.get("area"), entry.get("iscrowd")
  area_px = math.nan if area is None else finite(area, "area ")
  if area_px < 0:
    raise Faulty("zero_or_negative_size", f"area {short(area)} is below 0")
  if crowd not in (None, 0, 1):
    raise Faulty("bad_structure", f"iscrowd {short(crowd)} is neither 0 nor 1")
  return AnnotationEntry(
    id=None if entry.get("id") is None else whole(entry, "id"),
    image_id=whole(entry, "image_id"),
    category_id=whole(entry, "category_id"),
    x_px=x_px,
    y_px=y_px,
    width_px=width_px,
    height_px=height_px,
    area_px=area_px,
    is_crowd=int(crowd or 0),
  )


def category(entry: Any) -> tuple[int, str]:
  """(id, name) of a category's entry. Raises Faulty."""
  _expect(entry, "id")
  number, name = whole(entry, "id"), entry.get("name")
  if name is None or name == "":
    return number, str(number)
  if not isinstance(name, str) or not is_unicode(name):
    raise Faulty("bad_structure", f"name {short(name)} is not a name")
  return number, name


def whole(entry: dict[str, Any], key: str) -> int:
  """The id under a key. Raises Faulty."""
  value = entry[key]
  if type(value) is float and value.is_integer():
    value = int(value)
  if type(value) is not int or value not in _INT64:
    hint = ": write it without quotes" if isinstance(value, str) else ""
    detail = f"{key} {short(value)} is not a whole number{hint}"
    raise Faulty("bad_structure", detail)
  return value


def id_if_any(entry: Any, key: str) -> int | None:
  """The id under a key of whatever, for a message."""
  if isinstance(entry, dict) and key in entry:
    with contextlib.suppress(Faulty):
      return whole(entry, key)
  return None


def is_unicode(text: str) -> bool:
  """Whether UTF-8 can hold it: JSON can escape half a surrogate pair."""
  try:
    text.encode()
  except UnicodeEncodeError:
    return False
  return True


def short(value: Any) -> str:
  """A value as a message shows it."""
  text = repr(value)
  return text if len(text) <= 60 else f"{text[:57]}..."


def _expect(entry: Any, *keys: str) -> None:
  if not isinstance(entry, dict):
    raise Faulty("bad_structure", f"{short(entry)} is not an object")
  missing = [key for key in keys if entry.get(key) is None]
  if missing:
    raise Faulty("bad_structure", f"without {', '.join(missing)}")


def _side(entry: dict[str, Any], key: str) -> int | None:
  value = entry.get(key)
  if value is None or (type(value) in (int, float) and value in NOT_GIVEN):
    return None
  if type(value) not in (int, float) or not 1 <= value < 1 << 31 or value % 1:
    raise Faulty("bad_structure", f"{key} {short(value)} is not a number of pixels")
  return int(value)


def finite(value: Any, where: str) -> float:
  """A number as a float; `where` begins the message. Raises Faulty."""
  if type(value) is float and math.isfinite(value):
    return value
  if type(value) is int and value in _INT64:  # float() refuses some beyond 1e308
    return float(value)
  raise Faulty("not_a_number", f"{where}{short(value)} is not a finite number")


@contextlib.contextmanager
def unpacking() -> Iterator[None]:
  """Around reading what `unpacked` gave: a packed file that is cut is a ValueError."""
  try:
    yield
  except _BROKEN as error:
    raise ValueError(f"Expected a whole packed file. Received: {error}") from error


def _only_file(file: BinaryIO) -> Any:
  packed = zipfile.ZipFile(file)
  names = [name for name in packed.namelist() if not name.endswith("/")]
  if len(names) != 1:
    raise ValueError(f"Expected a zip of one file. Received: {names[:3]}")
  return packed.open(names[0])


_PACKED: dict[bytes, Callable[[Any], Any]] = {
  b"\x1f\x8b": gzip.open,
  b"BZh": bz2.open,
  b"\xfd7zXZ\x00": lzma.open,
  b"PK\x03\x04": _only_file,
}
