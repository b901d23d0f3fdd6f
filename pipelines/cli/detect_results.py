"""`hardmine detect --coco FILE`: all detections of a call as COCO's results."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind, OutputFile

if TYPE_CHECKING:
  from hardmine.schemas.categories import Categories
  from hardmine.trainers.detection.detector import Detections
  from hardmine.trainers.detection.results.coco_results import Listing

RESULTS = FileKind(
  "detections in COCO's format", re.compile(rb'\s*\[\s*(\]|\{\s*"image_id")')
)


def results_file(args: argparse.Namespace, images: Sequence[str]) -> ResultsFile | None:
  """Where the results go, looked at; None where nobody wants them.

  Args:
    args: with `coco`, `annotations` and `overwrite`.
    images: that are read.

  Raises:
    ValueError: the file may not be written, or the annotations are none.
    OSError: they cannot be read.
  """
  if args.coco is None:
    require(
      args.annotations is None,
      "--coco FILE with --annotations, whose ids it gets",
      annotations=args.annotations,
    )
    return None
  from hardmine.trainers.detection.results.coco_results import Listing

  output = OutputFile(
    args.coco,
    RESULTS,
    overwrite=args.overwrite,
    sources=[*images, *filter(None, [args.annotations])],
  )
  listing = None if args.annotations is None else Listing.read(args.annotations)
  return ResultsFile(output, listing)


class ResultsFile:
  """Results of images, under the ids of annotations or of file names.

  Args:
    output: gets them.
    listing: of the annotations, if there are any.
  """

  def __init__(self, output: OutputFile, listing: Listing | None):
    self._output, self._listing = output, listing
    self._category_ids: dict[int, int] = {}
    self._path_of: dict[int, str] = {}
    self._results: list[dict[str, Any]] = []

  def match(self, categories: Categories) -> None:
    """Finds the ids of the model's categories.

    Raises:
      ValueError: the annotations lack one.
    """
    self._category_ids = dict(zip(categories.ids, categories.ids))
    if self._listing is not None:
      self._category_ids = self._listing.category_ids(categories)

  def add(self, path: str, height_px: int, width_px: int, found: Detections) -> None:
    """Keeps what was found in an image of some size.

    Raises:
      ValueError: it has no id, that of another image, or another size than its
        annotations say.
    """
    from hardmine.trainers.detection.results.coco_results import (
      check_size,
      number_of,
      to_results,
    )

    if self._listing is None:
      number = number_of(path)
    else:
      listed = self._listing.image(path)
      check_size(listed, height_px, width_px)
      number = listed.id
    require(
      number not in self._path_of,
      f"an image of another id than {self._path_of.get(number)}",
      image_id=number,
    )
    self._path_of[number] = path
    self._results += to_results(found, number, self._category_ids)

  def write(self) -> None:
    """Writes the file.

    Raises:
      ValueError: it may not be replaced, or no image was done.
      OSError: it cannot be written.
    """
    require(bool(self._path_of), "at least one image that could be done", images=0)
    self._output.write(json.dumps(self._results) + "\n")
