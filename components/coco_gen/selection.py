"""Which listed images a job takes, from which file, and into which split."""

from __future__ import annotations

import collections
import dataclasses
import os
import posixpath
from collections.abc import Iterable, Mapping

from hardmine.components.coco_gen.annotations import AnnotationSet, Fault, ListedImage
from hardmine.components.coco_gen.file_names import AS_WRITTEN, FileNames
from hardmine.components.coco_gen.image_lists import named_images
from hardmine.components.jobs.sources import Source, held_back
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import EVAL, TRAIN, ConversionConfig


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TakenImage:
  """A listed image and where it comes from.

  Attributes:
    source: a position in the config's sources. With the image's id it is unique: ids
      are those of their annotations, and other sources have the same ones.
    image: as it is listed.
    path: its file below the images' folder.
  """

  source: int
  image: ListedImage
  path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
  """What a job takes.

  Attributes:
    splits: the images of each split, in order of source and id.
    faults: (annotations' path, fault) of images that are listed and cannot be taken.
    notes: what is worth counting and no fault.
  """

  splits: dict[str, list[TakenImage]]
  faults: list[tuple[str, Fault]]
  notes: collections.Counter[str]


def select(
  config: ConversionConfig,
  sets: Mapping[str, AnnotationSet],
  files: Mapping[str, list[Source]],
) -> Selection:
  """Takes all images that a source lists, or those its `only` names.

  Args:
    config: of the job.
    sets: the annotations by their path in the config.
    files: what lies at each path of the config.

  Raises:
    ValueError: an image would be in two splits, or an `only` without names.
  """
  notes = sum((found.notes for found in sets.values()), collections.Counter())
  faults: list[tuple[str, Fault]] = []
  found: list[TakenImage] = []
  for number, source in enumerate(config.sources):
    annotated = sets[source.annotations]
    paths, unfound = _find_all(source.images, files[source.images], annotated)
    images, dead = named_images(source, annotated, paths, unfound)
    for image in images:
      path, way = paths[image.id]
      notes[f"name_{way}"] += way != AS_WRITTEN
      found.append(TakenImage(source=number, image=image, path=path))
    faults += [(source.annotations, fault) for fault in dead]
  single, repeated = _once_each(config, found, notes)
  return Selection(
    splits=_into_splits(config, single), faults=faults + repeated, notes=+notes
  )


def _find_all(
  folder: str, files: Iterable[Source], annotated: AnnotationSet
) -> tuple[dict[int, tuple[str, str]], dict[int, Fault]]:
  """By id: (path, way) of the images that have a file, the faults of the others."""
  faulty = [fault.file for fault in annotated.image_faults if fault.file]
  listed = (image.file for image in annotated.images.values())
  names = FileNames(folder, (file.id for file in files), [*listed, *faulty])
  of_faulty = set(map(names.below, faulty))
  paths: dict[int, tuple[str, str]] = {}
  unfound: dict[int, Fault] = {}
  for image in annotated.images.values():
    found = names.find(image)
    if isinstance(found, Fault):
      unfound[image.id] = found
    elif found[0] in of_faulty:
      detail = "an entry that cannot be used is of the same file, with its objects"
      unfound[image.id] = _fault(image, "duplicate_image", detail)
    else:
      paths[image.id] = found
  return paths, unfound


def _once_each(
  config: ConversionConfig, found: list[TakenImage], notes: collections.Counter[str]
) -> tuple[list[TakenImage], list[tuple[str, Fault]]]:
  """The images whose file no other entry means, and the faults of the others.

  Two entries of one file have each but a part of its objects: of either, the rest
  would be background.
  """
  groups: dict[tuple[str, str], list[TakenImage]] = {}
  place_of = _Places(config)
  for taken in found:
    groups.setdefault(place_of(taken), []).append(taken)
  _refuse_shared(config, list(groups.values()))
  _refuse_two_files([group[0] for group in groups.values()], place_of)
  single: list[TakenImage] = []
  faults: list[tuple[str, Fault]] = []
  for group in groups.values():
    entries: dict[tuple[str, int], TakenImage] = {}
    for taken in group:
      entries.setdefault(place_of.entry(taken), taken)
    notes["listed_again"] += len(group) - len(entries)
    if len(entries) == 1:
      single += entries.values()
      continue
    (one, number), (other, another) = list(entries)[:2]
    detail = (
      f"image {number} of {one} and image {another} of {other} are one file: "
      "give it one entry with all objects"
    )
    faults += [
      (
        config.sources[taken.source].annotations,
        _fault(taken.image, "duplicate_image", detail),
      )
      for taken in entries.values()
    ]
  return single, faults


class _Places:
  """Says where files really lie, however their paths are spelled."""

  def __init__(self, config: ConversionConfig):
    self._config = config
    self._annotations = [_real(source.annotations) for source in config.sources]
    self._folders: dict[tuple[str, str], str] = {}

  def entry(self, taken: TakenImage) -> tuple[str, int]:
    """The annotations that list an image, and its id in them."""
    return self._annotations[taken.source], taken.image.id

  def __call__(self, taken: TakenImage) -> tuple[str, str]:
    """The folder of an image's file, and its name."""
    below, base = posixpath.split(taken.path)
    folder = self._config.sources[taken.source].images.rstrip("/") or "/"
    if (folder, below) not in self._folders:
      self._folders[folder, below] = _real(posixpath.join(folder, below))
    return self._folders[folder, below], base


def _real(path: str) -> str:
  """What a path leads to, however it is spelled; URLs have one spelling."""
  return path if "://" in path else os.path.realpath(path)


def _refuse_shared(config: ConversionConfig, groups: list[list[TakenImage]]) -> None:
  """No file may be in two splits."""
  shared = [
    group
    for group in groups
    if len({config.sources[taken.source].split for taken in group}) > 1
  ]
  if not shared:
    return
  places = sorted(
    {
      (source.split, f"{source.images.rstrip('/')}/{taken.path}")
      for taken in shared[0]
      for source in [config.sources[taken.source]]
    }
  )
  first = " and ".join(f"{path} in {split}" for split, path in places)
  raise ValueError(
    "Expected splits that share no image: list with `only` which images each takes. "
    f"Received: {len(shared)} files in two splits, the first as {first}"
  )


def _refuse_two_files(images: list[TakenImage], place_of: _Places) -> None:
  """An annotation is of one file, so a set's image cannot be two."""
  first: dict[tuple[str, int], TakenImage] = {}
  for taken in images:
    other = first.setdefault(place_of.entry(taken), taken)
    if other is taken:
      continue
    require(
      place_of(other) == place_of(taken),
      f"one folder with the images of {place_of.entry(taken)[0]}, or an `only` for "
      "each folder",
      image=taken.image.id,
      files=["/".join(place_of(other)), "/".join(place_of(taken))],
    )


def _into_splits(
  config: ConversionConfig, images: list[TakenImage]
) -> dict[str, list[TakenImage]]:
  splits: dict[str, list[TakenImage]] = {source.split: [] for source in config.sources}
  for taken in sorted(images, key=lambda taken: (taken.source, taken.image.id)):
    splits[config.sources[taken.source].split].append(taken)
  if config.eval_share:
    evals = held_back({taken.path for taken in splits[TRAIN]}, config.eval_share)
    splits[EVAL] = [taken for taken in splits[TRAIN] if taken.path in evals]
    splits[TRAIN] = [taken for taken in splits[TRAIN] if taken.path not in evals]
  return splits


def _fault(image: ListedImage, reason: str, detail: str) -> Fault:
  return Fault(reason=reason, detail=detail, image_id=image.id, file=image.file)
