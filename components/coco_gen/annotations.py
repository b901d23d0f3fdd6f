"""What readers of annotations give: listed images, compact rows, and faults.

A set may have millions of annotations, so they pass through memory in blocks and
lie on disk as rows of fixed size.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hardmine.components.jobs import dead_letters
from hardmine.schemas.coco_format import is_unicode

# `number` is the place in the file; `area_px` is NaN where none is given; an annotation
# without an id has -1 - number.
ROW = np.dtype(
  [
    ("number", "<i8"),
    ("annotation_id", "<i8"),
    ("image_id", "<i8"),
    ("category_id", "<i8"),
    ("x_px", "<f8"),
    ("y_px", "<f8"),
    ("width_px", "<f8"),
    ("height_px", "<f8"),
    ("area_px", "<f8"),
    ("is_crowd", "<i8"),
  ]
)
_BLOCK = 8192


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ListedImage:
  """An image that annotations list.

  Attributes:
    id: as the set numbers it.
    file: its path below the images' folder, as the annotations spell it.
    width_px: what the annotations say; None where they say nothing.
    height_px: likewise.
    own_stem: the path of its XML file below the annotations' folder, without the
      extension; None of JSON.
  """

  id: int
  file: str
  width_px: int | None
  height_px: int | None
  own_stem: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
  """Why an image or an annotation cannot be used: a line of the dead letters.

  Attributes:
    reason: a word to count by.
    detail: what was found.
    image_id: None where the fault is that there is none.
    file: the image's; None likewise.
    annotation_id: None where the image is at fault, or there is none.
    number: the place in the file, from 0; None for images.
  """

  reason: str
  detail: str
  image_id: int | None = None
  file: str | None = None
  annotation_id: int | None = None
  number: int | None = None

  def line(self, source: str) -> dict[str, Any]:
    """The dead letter's JSON, of the annotations `source`."""
    return {"source": source, **dataclasses.asdict(self)}


def is_file_name(text: str) -> bool:
  """Whether a file can have this name: not empty, no NUL, whole Unicode."""
  return bool(text) and "\0" not in text and is_unicode(text)


class AnnotationSet:
  """The annotations of one COCO JSON file or one folder of VOC XML, being read.

  Use as a context manager; rows and faults are complete behind the block.

  Attributes:
    source: the file or folder, as the config spells it.
    images: usable ones, by id.
    image_faults: of listed images.
    categories: name by id.
    rows_path: rows of dtype `ROW`, in the file's order.
    faults_path: one JSON object a line, the fields of `Fault`, of annotations.
    num_rows: in `rows_path`.
    notes: what is worth counting and no fault.
  """

  def __init__(self, source: str, folder: Path):
    """Opens two new files in `folder`."""
    self.source = source
    self.images: dict[int, ListedImage] = {}
    self.image_faults: list[Fault] = []
    self.categories: dict[int, str] = {}
    self.rows_path = folder / "rows"
    self.faults_path = folder / "faults.jsonl"
    self.num_rows = 0
    self.notes: collections.Counter[str] = collections.Counter()
    self._first_of_id: dict[int, str | None] = {}  # the first image's file
    self._rows = self.rows_path.open("wb")
    self._faults = self.faults_path.open("w", encoding="utf-8")
    self._block: list[tuple] = []

  def __enter__(self) -> AnnotationSet:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    try:
      self._flush()
    finally:
      self._rows.close()
      self._faults.close()

  def add_image(self, image: ListedImage) -> None:
    """Keeps an image, unless its id is another one's too: then neither is used."""
    if not self._is_new(image.id, image.file):
      first = self._first_of_id[image.id]
      self.image_faults.append(_doubled(image, first, image.file))
    else:
      self.images[image.id] = image

  def add_image_fault(self, fault: Fault) -> None:
    """Keeps an image's fault; its id, if any, may be another image's no more."""
    self.image_faults.append(fault)
    if fault.image_id is not None:
      self._is_new(fault.image_id, fault.file)

  def _is_new(self, image_id: int, file: str | None) -> bool:
    """Whether an id is here for the first time; if not, its first image goes."""
    if image_id not in self._first_of_id:
      self._first_of_id[image_id] = file
      return True
    first = self.images.pop(image_id, None)
    if first is not None:
      self.image_faults.append(_doubled(first, first.file, file))
    return False

  def add_row(self, row: tuple) -> None:
    """Keeps an annotation: values in the order of `ROW`."""
    self._block.append(row)
    if len(self._block) == _BLOCK:
      self._flush()

  def add_fault(self, fault: Fault) -> None:
    """Keeps an annotation's fault."""
    self._faults.write(dead_letters.lines([dataclasses.asdict(fault)]))

  def faults(self) -> Iterator[Fault]:
    """Yields the faults of annotations, in the file's order."""
    with self.faults_path.open(encoding="utf-8") as file:
      for line in file:
        yield Fault(**json.loads(line))

  def _flush(self) -> None:
    np.array(self._block, ROW).tofile(self._rows)
    self.num_rows += len(self._block)
    self._block.clear()


def _doubled(image: ListedImage, *files: str | None) -> Fault:
  one, other = (file or "an image without a name" for file in files)
  return Fault(
    reason="duplicate_image_id",
    detail=f"{one} and {other} have the id {image.id}: neither is used",
    image_id=image.id,
    file=image.file,
  )
