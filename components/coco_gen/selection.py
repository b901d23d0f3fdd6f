"""Which listed images a job takes, and into which split."""

from __future__ import annotations

import csv
import dataclasses
import io
import posixpath

import fsspec

from hardmine.components.coco_gen.annotations import AnnotationSet, Fault, ListedImage
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TakenImage:
  """A listed image and its source, as a position in the config's sources."""

  source: int
  image: ListedImage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
  """What a job takes.

  Attributes:
    splits: the images of each split, in order of id.
    faults: (annotations' path, fault) of images that are listed and cannot be taken.
  """

  splits: dict[str, list[TakenImage]]
  faults: list[tuple[str, Fault]]


def select(config: ConversionConfig, sets: dict[str, AnnotationSet]) -> Selection:
  """Takes all images that a source lists, or those its `only` names.

  Raises:
    ValueError: an image would be in two splits, or an `only` without names.
  """
  splits: dict[str, dict[int, TakenImage]] = {}
  split_of: dict[tuple[str, str], str] = {}  # by (folder of images, normal path)
  faults: list[tuple[str, Fault]] = []
  for number, source in enumerate(config.sources):
    found = sets[source.annotations]
    taken = splits.setdefault(source.split, {})
    images, dead = _listed(source, found)
    for image in images:
      fault = _fault(image, taken)
      if fault is not None:
        dead.append(fault)
        continue
      place = (source.images.rstrip("/"), posixpath.normpath(image.file))
      require(
        split_of.setdefault(place, source.split) == source.split,
        "splits that share no image",
        file=image.file,
        splits=(split_of[place], source.split),
      )
      taken[image.id] = TakenImage(source=number, image=image)
    faults += [(source.annotations, fault) for fault in dead]
  return Selection(
    splits={name: [taken[k] for k in sorted(taken)] for name, taken in splits.items()},
    faults=faults,
  )


def read_image_names(path: str) -> list[str]:
  """The file names in a list of images, each once.

  Args:
    path: a text file with a name a line, or a `.csv` with a column `filename`.

  Raises:
    ValueError: no such column, no name, or not UTF-8.
  """
  with fsspec.open(path, "rb") as file:
    data: bytes = file.read()  # pyright: ignore[reportAttributeAccessIssue]
  try:
    text = data.decode("utf-8-sig")
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


def _listed(
  source: AnnotatedFolder, found: AnnotationSet
) -> tuple[list[ListedImage], list[Fault]]:
  """(the images a source names, the faults of what it names)."""
  if source.only is None:
    return list(found.images.values()), list(found.image_faults)
  by_name: dict[str, list[ListedImage]] = {}
  by_stem: dict[str, list[ListedImage]] = {}
  for image in found.images.values():
    by_name.setdefault(image.file, []).append(image)
    # Pascal's lists leave the extension out.
    by_stem.setdefault(posixpath.splitext(image.file)[0], []).append(image)
  faulty: dict[str, list[Fault]] = {}
  for fault in found.image_faults:
    faulty.setdefault(fault.file or "", []).append(fault)
  images: dict[int, ListedImage] = {}
  dead: list[Fault] = []
  for name in read_image_names(source.only):
    chosen = by_name.get(name) or by_stem.get(name, [])
    images.update((image.id, image) for image in chosen)
    dead += faulty.get(name, [])
    if not chosen and name not in faulty:
      dead.append(
        Fault(
          reason="not_annotated",
          detail=f"named in {source.only}, and no image of the annotations",
          file=name,
        )
      )
  return list(images.values()), dead


def _fault(image: ListedImage, taken: dict[int, TakenImage]) -> Fault | None:
  first_step = posixpath.normpath(image.file).split("/", 1)[0]  # "" of an absolute one
  if first_step in ("", ".."):
    reason, detail = "path_outside_folder", f"{image.file!r} leaves the images' folder"
  elif image.id in taken:
    first = taken[image.id].image.file
    reason, detail = "duplicate_image_id", f"the split has the id already: {first}"
  else:
    return None
  return Fault(reason=reason, detail=detail, image_id=image.id, file=image.file)
