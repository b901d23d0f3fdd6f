"""Lists of images that a source is to take: `only`."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Mapping

from hardmine.components.coco_gen.annotations import AnnotationSet, Fault, ListedImage
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import AnnotatedFolder
from hardmine.schemas.folders import file_at


def named_images(
  source: AnnotatedFolder,
  found: AnnotationSet,
  paths: Mapping[int, tuple[str, str]],
  unfound: Mapping[int, Fault],
) -> tuple[list[ListedImage], list[Fault]]:
  """What a source names.

  Args:
    source: with its `only`, if any.
    found: its annotations.
    paths: of the images that have a file, by id: (path, how it was found).
    unfound: the faults of those that have none.

  Returns:
    (images that have a file, the faults of the others that it names).
  """
  if source.only is None:
    images = [image for image in found.images.values() if image.id in paths]
    return images, [*found.image_faults, *unfound.values()]
  by_name, by_stem = _by_names(found, paths)
  faulty: dict[str, list[Fault]] = {}
  for fault in found.image_faults:
    faulty.setdefault(fault.file or "", []).append(fault)
  chosen: dict[int, ListedImage] = {}
  dead: dict[int, Fault] = {}
  others: list[Fault] = []
  for name in read_image_names(source.only):
    turned = name.replace("\\", "/")
    keys = (by_name.get(name), by_name.get(turned), by_stem.get(turned))
    images = next(filter(None, keys), {})
    others += faulty.get(name, [])
    if len(images) > 1:
      files = " or ".join(sorted(image.file for image in images.values())[:2])
      others.append(_fault("ambiguous_name", f"may be {files}", name, source))
    elif not images and name not in faulty:
      others.append(
        _fault("not_annotated", "no image of the annotations", name, source)
      )
    else:
      chosen.update({k: image for k, image in images.items() if k in paths})
      dead.update({k: unfound[k] for k in images if k in unfound})
  return list(chosen.values()), [*dead.values(), *others]


def read_image_names(path: str) -> list[str]:
  """The file names in a list of images, each once.

  Args:
    path: a text file with a name a line, or a `.csv` with a column `filename`.

  Raises:
    ValueError: no such column, no name, or not UTF-8.
  """
  place, name = file_at(path)
  try:
    text = place.read(name).decode("utf-8-sig")
  except UnicodeDecodeError as error:
    raise ValueError(f"Expected UTF-8 ({error}). Received: only={path!r}") from error
  if path.endswith(".csv"):
    rows = csv.DictReader(io.StringIO(text))
    columns = rows.fieldnames or []
    require(
      "filename" in columns, "a CSV with a column `filename`", only=path, has=columns
    )
    names = [row["filename"] or "" for row in rows]
  else:
    names = text.splitlines()
  names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
  require(bool(names), "a list of at least one image", only=path)
  return names


def _by_names(
  found: AnnotationSet, paths: Mapping[int, tuple[str, str]]
) -> tuple[dict[str, dict[int, ListedImage]], dict[str, dict[int, ListedImage]]]:
  """Images by all that a list may call them, and by the same without extension."""
  by_name: dict[str, dict[int, ListedImage]] = {}
  by_stem: dict[str, dict[int, ListedImage]] = {}
  for image in found.images.values():
    path = paths.get(image.id, (image.file, ""))[0]
    for name in {image.file, path, posixpath.normpath(image.file)}:
      by_name.setdefault(name, {})[image.id] = image
      # Pascal's lists leave the extension out.
      by_stem.setdefault(posixpath.splitext(name)[0], {})[image.id] = image
  return by_name, by_stem


def _fault(reason: str, what: str, name: str, source: AnnotatedFolder) -> Fault:
  return Fault(reason=reason, detail=f"named in {source.only}: {what}", file=name)
