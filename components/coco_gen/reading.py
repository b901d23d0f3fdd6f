"""Reads what every source of a job annotates, each file or folder once."""

from __future__ import annotations

from pathlib import Path

import fsspec

from hardmine.components.coco_gen.annotations import AnnotationSet
from hardmine.components.coco_gen.coco_json import read_coco
from hardmine.components.coco_gen.voc_xml import list_xml, read_names, read_voc
from hardmine.components.jobs.sources import Source, list_below
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import ConversionConfig


def input_files(config: ConversionConfig) -> dict[str, list[Source]]:
  """Every file a job may read, by the path in the config: for a fingerprint.

  Raises:
    ValueError: a path at which nothing lies.
  """
  found: dict[str, list[Source]] = {}
  for source in config.sources:
    for kind in ("images", "annotations", "only"):
      path = getattr(source, kind)
      if path is not None and path not in found:
        found[path] = list_below(path)
        require(bool(found[path]), f"a path with files ({kind})", **{kind: path})
  return found


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
  categories = _unite(sets)
  if xml:
    categories = _name_voc(categories, xml)
    _read_folders(xml, sets, {name: number for number, name in categories.items()})
  require(bool(categories), "annotations of at least one category", annotations=paths)
  return sets, Categories(
    categories=tuple(
      Category(id=number, name=name) for number, name in sorted(categories.items())
    )
  )


def _is_file(files: list[Source]) -> bool:
  return len(files) == 1 and not files[0].id.endswith(".xml")


def _read_json(path: str, into: AnnotationSet) -> None:
  try:
    # A BOM is no JSON, but editors of some systems write one.
    with fsspec.open(path, "rt", encoding="utf-8-sig", compression="infer") as file:
      read_coco(file, into)  # pyright: ignore[reportArgumentType]
  except ValueError as error:
    if f"annotations={path!r}" in str(error):
      raise
    raise ValueError(f"{error} in annotations={path!r}") from error


def _unite(sets: dict[str, AnnotationSet]) -> dict[int, str]:
  """Name by id over all COCO files, which must agree."""
  names: dict[int, str] = {}
  ids_of: dict[str, set[int]] = {}
  for path, found in sets.items():
    ids_here: dict[str, set[int]] = {}
    for number, name in found.categories.items():
      require(
        names.setdefault(number, name) == name,
        f"sources that agree about category {number} ({names[number]!r} so far)",
        annotations=path,
        name=name,
      )
      ids_here.setdefault(name, set()).add(number)
    for name, ids in ids_here.items():
      require(
        ids_of.setdefault(name, ids) == ids,
        f"sources that agree about category {name!r} (id {sorted(ids_of[name])} "
        "so far)",
        annotations=path,
        id=sorted(ids),
      )
  return names


def _name_voc(categories: dict[int, str], xml: dict[str, list[Source]]) -> dict:
  """COCO's categories where there are any; else the objects' names, from 1."""
  if categories:
    return categories
  names = set().union(*(read_names(files) for files in xml.values()))
  return dict(enumerate(sorted(names), 1))


def _read_folders(
  xml: dict[str, list[Source]],
  sets: dict[str, AnnotationSet],
  category_ids: dict[str, int],
) -> None:
  first_image = first_object = 1
  for path, files in xml.items():
    with sets[path] as into:
      first_object += read_voc(
        files,
        into,
        category_ids=category_ids,
        first_image=first_image,
        first_object=first_object,
      )
    first_image += len(files)
