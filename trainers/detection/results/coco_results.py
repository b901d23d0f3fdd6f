"""Detections in COCO's results format, under the ids of an annotated set.

    [{"image_id": 7, "category_id": 3, "bbox": [x, y, width, height], "score": 0.9}]

Ids are those of the annotations, found by the name of the image's file and by the name
of the category; without annotations they are the number that the file's name is, and
the model's own.
"""

from __future__ import annotations

import os
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, NamedTuple

from hardmine.schemas import coco_format
from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_format import Faulty
from hardmine.schemas.config import require
from hardmine.trainers.detection.detector import Detections

# `000000397133`, and `COCO_val2014_000000397133` as the set was named at first.
_NUMBER = re.compile(r"(?:COCO_\w+_)?([0-9]{1,18})")
_NUM_SHOWN = 5  # names in a message


class NamedImage(NamedTuple):
  """An image of an annotated set; sides are None where they are not given."""

  id: int
  file: str
  width_px: int | None
  height_px: int | None


class Listing:
  """The images and categories of a COCO file, by their names.

  Attributes:
    image_ids: of all images, those without a name among them.
  """

  def __init__(
    self, path: str, images: Iterable[NamedImage], names: Iterable[tuple[int, str]]
  ):
    self._path = path
    self.image_ids: set[int] = set()
    self._by_base: dict[str, list[NamedImage]] = {}
    for image in images:
      self.image_ids.add(image.id)
      if _steps(image.file):
        self._by_base.setdefault(_folded(_steps(image.file)[-1]), []).append(image)
    self._ids_of: dict[str, set[int]] = {}
    for number, name in names:
      self._ids_of.setdefault(name, set()).add(number)

  @classmethod
  def read(cls, path: str) -> Listing:
    """Reads a file by the rules of `coco_format`; annotations it need not have.

    Raises:
      ValueError: not such a file, or an entry at fault.
      OSError: it cannot be read.
    """
    images, names = {}, []
    try:
      with open(path, "rb") as file:
        for table, place, entry in coco_format.tables(file, ("images", "categories")):
          if table == "annotations":
            continue
          try:
            if table == "categories":
              names.append(coco_format.category(entry))
              continue
            one = coco_format.image(entry)
          except Faulty as error:
            raise ValueError(f"{table}[{place}]: {error}") from error
          require(one.id not in images, "images of different ids", id=one.id)
          name = entry.get("file_name")
          name = name if isinstance(name, str) else ""
          images[one.id] = NamedImage(one.id, name, one.width_px, one.height_px)
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from error
    return cls(path, images.values(), names)

  def image(self, path: str) -> NamedImage:
    """The image whose file this is: of the same name, and in folders of the most
    similar names where several are.

    Raises:
      ValueError: there is none, or it may be any of several.
    """
    steps = PurePath(os.path.abspath(path)).parts
    found = self._by_base.get(_folded(steps[-1]), [])
    exact = [one for one in found if _steps(one.file)[-1] == steps[-1]]
    shared = {one: _num_shared(_steps(one.file), steps) for one in exact or found}
    most = max(shared.values(), default=0)
    best = [one for one, num in shared.items() if num == most]
    several = " once (it may be " + " or ".join(one.file for one in best[:2]) + ")"
    require(
      len(best) == 1,
      f"an image that {self._path} lists" + several * bool(best),
      file_name=steps[-1],
    )
    return best[0]

  def category_ids(self, categories: Categories) -> dict[int, int]:
    """The ids of the annotations by those of a model: whose names are equal.

    Raises:
      ValueError: the annotations lack a name, or have it under several ids.
    """
    missing = [name for name in categories.names if name not in self._ids_of]
    require(
      not missing,
      f"categories that {self._path} has, under the same names; --categories NAME,... "
      f"chooses those that both have ({_some(self._ids_of)})",
      missing=missing[:_NUM_SHOWN],
      num_missing=len(missing),
    )
    for name in categories.names:
      ids = sorted(self._ids_of[name])
      require(len(ids) == 1, f"one category {name!r} in {self._path}", ids=ids)
    return {one.id: min(self._ids_of[one.name]) for one in categories.categories}


def number_of(path: str) -> int:
  """The image id that a file's name is.

  Raises:
    ValueError: it is no number.
  """
  match = _NUMBER.fullmatch(PurePath(path).stem)
  if match is None:
    raise ValueError(
      "Expected a file name that is the image's id, such as 000000397133.jpg, or "
      f"--annotations FILE that lists it. Received: {PurePath(path).name!r}"
    )
  return int(match[1])


def check_size(image: NamedImage, height_px: int, width_px: int) -> None:
  """Raises ValueError where the annotations are of an image of another size."""
  theirs = (image.width_px or width_px, image.height_px or height_px)
  require(
    theirs == (width_px, height_px),
    f"{theirs[0]}x{theirs[1]} pixels, as the annotations of {image.file} say",
    size=f"{width_px}x{height_px}",
  )


def to_results(
  found: Detections, image_id: int, category_ids: dict[int, int]
) -> list[dict[str, Any]]:
  """The entries of one image, best first."""
  return [
    {
      "image_id": image_id,
      "category_id": category_ids[category_id],
      "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
      "score": score,
    }
    for (ymin, xmin, ymax, xmax), score, category_id in zip(
      found.boxes_yxyx_px.tolist(), found.scores.tolist(), found.category_ids.tolist()
    )
  ]


def _steps(file_name: str) -> tuple[str, ...]:
  """Folders and name, as this system would write them."""
  turned = urllib.parse.unquote(file_name.replace("\\", "/"))
  return tuple(step for step in turned.split("/") if step not in ("", ".", ".."))


def _num_shared(listed: tuple[str, ...], steps: tuple[str, ...]) -> int:
  """How many last steps two paths have in common, their names apart."""
  pairs = zip(reversed(listed[:-1]), reversed(steps[:-1]))
  return next(
    (num for num, (ours, theirs) in enumerate(pairs) if ours != theirs),
    min(len(listed), len(steps)) - 1,
  )


def _folded(name: str) -> str:
  return unicodedata.normalize("NFC", name).casefold()


def _some(names: Iterable[str]) -> str:
  shown = list(names)
  return ", ".join(shown[:_NUM_SHOWN]) + ", ..." * (len(shown) > _NUM_SHOWN) or "none"
