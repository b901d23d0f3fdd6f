"""What readers of annotations give: listed images, compact rows, and faults.

A set may have millions of annotations, so they pass through memory in blocks and
lie on disk as rows of fixed size.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hardmine.components.jobs import dead_letters

# `number` is the place in the file; `area` is NaN where none is given.
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
  """

  id: int
  file: str
  width_px: int | None
  height_px: int | None


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


class Faulty(Exception):
  """Ends the reading of an entry that cannot be used: (reason, detail)."""


def is_file_name(text: str) -> bool:
  """Whether a file can have this name: not empty, no NUL, whole Unicode."""
  return bool(text) and "\0" not in text and is_unicode(text)


def is_unicode(text: str) -> bool:
  """Whether UTF-8 can hold it: JSON can escape half a surrogate pair."""
  try:
    text.encode()
  except UnicodeEncodeError:
    return False
  return True


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
    """Keeps an image, unless its id is taken: then the first one stays."""
    first = self.images.setdefault(image.id, image)
    if first is not image:
      self.image_faults.append(
        Fault(
          reason="duplicate_image_id",
          detail=f"the id belongs to {first.file}",
          image_id=image.id,
          file=image.file,
        )
      )

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
