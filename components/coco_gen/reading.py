"""Reads what every source of a job annotates, each file or folder once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hardmine.components.coco_gen.annotations import AnnotationSet, Fault
from hardmine.components.coco_gen.category_names import (
  check_spelling,
  named_once,
  unite,
)
from hardmine.components.coco_gen.coco_json import read_coco
from hardmine.components.coco_gen.voc_xml import is_xml, list_xml, read_names, read_voc
from hardmine.components.jobs.sources import Source, each_below
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import ConversionConfig
from hardmine.schemas.folders import file_at


class NothingAnnotated(ValueError):
  """There is no category at all.

  Attributes:
    faults: (annotations' path, fault) of what could not be read.
  """

  def __init__(self, message: str, faults: list[tuple[str, Fault]]):
    super().__init__(message)
    self.faults = faults


def input_files(config: ConversionConfig) -> dict[str, list[Source]]:
  """Every file a job may read, by the path in the config, sorted by id.

  Raises:
    ValueError: as `each_input`.
  """
  return {
    path: sorted(files, key=lambda file: file.id) for path, files in each_input(config)
  }


def each_input(config: ConversionConfig) -> Iterator[tuple[str, Iterator[Source]]]:
  """Yields each path of the config and every file there, once.

  Raises:
    ValueError: a path at which nothing lies, or a file instead of images.
  """
  seen: set[str] = set()
  for source in config.sources:
    for kind in ("images", "annotations", "only"):
      path = getattr(source, kind)
      if path is not None and path not in seen:
        seen.add(path)
        yield path, _some_below(path, kind)
    require(
      not os.path.isfile(source.images),
      "the folder of the images, and not a file",
      images=source.images,
    )


def _some_below(path: str, kind: str) -> Iterator[Source]:
  is_empty = True
  for source in each_below(path):
    is_empty = False
    yield source
  require(not is_empty, f"a path with files ({kind})", **{kind: path})


def read_annotations(
  config: ConversionConfig, files: dict[str, list[Source]], folder: Path
) -> tuple[dict[str, AnnotationSet], Categories]:
  """Reads all annotations.

  Args:
    config: names them.
    files: of `input_files`.
    folder: rows and faults are written below it.

  Returns:
    (the sets by their path in the config, all categories).

  Raises:
    ValueError: a file that is no COCO JSON, a folder without XML, no category, or
      sources that disagree about one.
  """
  paths = list(dict.fromkeys(source.annotations for source in config.sources))
  sets: dict[str, AnnotationSet] = {}
  xml: dict[str, list[Source]] = {}
  for number, path in enumerate(paths):
    (folder / str(number)).mkdir(parents=True)
    sets[path] = AnnotationSet(path, folder / str(number))
    if _is_file(files[path]):
      with sets[path] as into:
        _read_json(path, into)
    else:
      xml[path] = list_xml(files[path])
      require(
        bool(xml[path]),
        "a COCO JSON file, or a folder of Pascal VOC XML files",
        annotations=path,
      )
      below = sum(is_xml(file.id) for file in files[path]) - len(xml[path])
      sets[path].notes["xml_in_subfolder"] += below
  categories = unite({path: found.categories for path, found in sets.items()})
  if xml:
    categories = _read_folders(xml, sets, categories)
  if not categories:
    raise _nothing_annotated(sets)
  return sets, Categories(
    categories=tuple(
      Category(id=number, name=name) for number, name in sorted(categories.items())
    )
  )


def _is_file(files: list[Source]) -> bool:
  return len(files) == 1 and not is_xml(files[0].id)


def _read_json(path: str, into: AnnotationSet) -> None:
  try:
    place, name = file_at(path)
    with place.local_copy(name) as copy, copy.open("rb") as file:
      read_coco(file, into)
  except ValueError as error:
    if f"annotations={path!r}" in str(error):
      raise
    raise ValueError(f"{error} in annotations={path!r}") from error


def _read_folders(
  xml: dict[str, list[Source]],
  sets: dict[str, AnnotationSet],
  categories: dict[int, str],
) -> dict[int, str]:
  """Reads Pascal's folders: COCO's categories where there are any, else their own."""
  if categories:
    category_ids = named_once(categories, list(xml))
  else:
    names = {path: read_names(files) for path, files in xml.items()}
    check_spelling(names)
    category_ids = {
      name: number
      for number, name in enumerate(sorted(set().union(*names.values())), 1)
    }
  for path, files in xml.items():
    with sets[path] as into:
      read_voc(files, into, category_ids=category_ids)
  return {number: name for name, number in category_ids.items()}


def _nothing_annotated(sets: dict[str, AnnotationSet]) -> NothingAnnotated:
  faults = [
    (path, fault) for path, found in sets.items() for fault in found.image_faults
  ]
  first = (
    f"; the first of {len(faults)} files that cannot be read: {faults[0][1].detail}"
  )
  return NothingAnnotated(
    "Expected annotations of at least one category. "
    f"Received: annotations={list(sets)}{first if faults else ''}",
    faults,
  )
