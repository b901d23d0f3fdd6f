"""Deals images to shards and parts, and lays out for each part what it needs."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hardmine.components.coco_gen.annotations import AnnotationSet, Fault
from hardmine.components.coco_gen.convert_part import ConvertPart
from hardmine.components.coco_gen.row_sorting import (
  LOST,
  NOT_TAKEN,
  REPEATED,
  UNKNOWN,
  Destinations,
  UnsortedRows,
  read_rows,
  repeated_rows,
  sort_rows,
)
from hardmine.components.coco_gen.selection import Selection, TakenImage
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import Part
from hardmine.schemas.conversion_config import ConversionConfig

LETTERS = "letters.jsonl"  # what is dead before any image is opened
ROWS = "sorted_rows"  # all parts' annotations, on the disk of who plans
_MAX_PART = 64  # images: some seconds of work


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
  """What the workers do, and what was dead before they began.

  Attributes:
    parts: of all shards of all splits.
    members: the images of each part.
    bounds: int64 [num_parts + 1], between which sorted rows each part's lie.
    shards: paths of each split's shards.
    num_images: of each split.
    dead: images by reason.
    skipped: annotations by reason.
    lost: annotations of dead images.
    notes: what is worth counting and no fault.
  """

  parts: list[Part]
  members: list[list[TakenImage]]
  bounds: np.ndarray
  shards: dict[str, list[str]]
  num_images: dict[str, int]
  dead: collections.Counter
  skipped: collections.Counter
  lost: int
  notes: collections.Counter


def make_plan(
  config: ConversionConfig,
  sets: dict[str, AnnotationSet],
  selection: Selection,
  shard_path: Callable[[str, int, int], str],
  folder: Path,
) -> Plan:
  """Writes the sorted rows, and the dead letters known so far.

  Args:
    config: of the job.
    sets: by their path in the config.
    selection: of their images.
    shard_path: (split, shard, num_shards) to a path below the output.
    folder: of this machine, where everything is written.
  """
  parts, members, shards = _deal(config, selection, shard_path)
  skipped: collections.Counter = collections.Counter()
  lost = 0
  unsorted = _unsorted(config, sets, selection, members)
  with (folder / LETTERS).open("w", encoding="utf-8") as letters:
    for path, fault in selection.faults:
      letters.write(dead_letters.lines([fault.line(path)]))
    for path, rows in unsorted.items():
      for fault in _faults(rows):
        if fault is None:
          lost += 1
          continue
        skipped[fault.reason] += 1
        letters.write(dead_letters.lines([fault.line(path)]))
  bounds = sort_rows(list(unsorted.values()), len(parts), folder / ROWS)
  return Plan(
    parts=parts,
    members=members,
    bounds=bounds,
    shards=shards,
    num_images={split: len(taken) for split, taken in selection.splits.items()},
    dead=collections.Counter(fault.reason for _, fault in selection.faults),
    skipped=skipped,
    lost=lost,
    notes=selection.notes,
  )


def filled_parts(plan: Plan, folder: Path) -> Iterator[ConvertPart]:
  """Yields the parts with all that a worker needs, read from the sorted rows."""
  for number, (part, images) in enumerate(zip(plan.parts, plan.members)):
    yield ConvertPart(
      **dataclasses.asdict(part),
      images=tuple(
        (t.source, t.image.id, t.path, t.image.width_px, t.image.height_px)
        for t in images
      ),
      rows=read_rows(folder / ROWS, *plan.bounds[number : number + 2].tolist()),
    )


def _deal(
  config: ConversionConfig,
  selection: Selection,
  shard_path: Callable[[str, int, int], str],
) -> tuple[list[Part], list[list[TakenImage]], dict[str, list[str]]]:
  """(parts, the images of each, the paths of each split's shards)."""
  num_images = sum(map(len, selection.splits.values()))
  part_size = max(1, min(_MAX_PART, math.ceil(num_images / 64)))
  parts: list[Part] = []
  members: list[list[TakenImage]] = []
  shards: dict[str, list[str]] = {}
  for split, taken in selection.splits.items():
    for shard in range(config.num_shards):
      path = shard_path(split, shard, config.num_shards)
      shards.setdefault(split, []).append(path)
      for images in _cut(taken[shard :: config.num_shards], part_size):
        name = f"{len(parts):08d}"
        parts.append(
          Part(split=split, shard_path=path, name=name, num_images=len(images))
        )
        members.append(images)
  return parts, members, shards


def _cut(taken: list[TakenImage], part_size: int) -> Iterator[list[TakenImage]]:
  """A shard's images in pieces of one source each, whose ids are its own.

  A shard without images still is a file, readers expect them all: one empty piece.
  """
  if not taken:
    yield []
  for _, group in itertools.groupby(taken, key=lambda image: image.source):
    images = list(group)
    for start in range(0, len(images), part_size):
      yield images[start : start + part_size]


def _unsorted(
  config: ConversionConfig,
  sets: dict[str, AnnotationSet],
  selection: Selection,
  members: list[list[TakenImage]],
) -> dict[str, UnsortedRows]:
  """Each set's rows and where they go, by the set's path in the config."""
  part_of = {
    (config.sources[taken.source].annotations, taken.image.id): number
    for number, images in enumerate(members)
    for taken in images
  }
  return {
    path: UnsortedRows(
      found=found,
      destinations=_destinations(path, found, selection, part_of),
      repeated=repeated_rows(found),
    )
    for path, found in sets.items()
  }


def _destinations(
  path: str,
  found: AnnotationSet,
  selection: Selection,
  part_of: dict[tuple[str, int], int],
) -> Destinations:
  """Where the annotations of the set at `path` go, by their image's id."""
  listed = set(found.images)
  listed.update(f.image_id for f in found.image_faults if f.image_id is not None)
  dead = {fault.image_id for where, fault in selection.faults if where == path}
  ids = sorted(listed)
  return Destinations(
    image_ids=np.array(ids, np.int64),
    parts=np.array(
      [part_of.get((path, k), LOST if k in dead else NOT_TAKEN) for k in ids], np.int64
    ),
  )


def _faults(unsorted: UnsortedRows) -> Iterator[Fault | None]:
  """Annotations that reach no worker; None for one whose image is dead."""
  files = {number: image.file for number, image in unsorted.found.images.items()}
  for fault in unsorted.found.faults():
    (goes,) = unsorted.destinations.of(np.array([fault.image_id or 0], np.int64))
    if fault.image_id is None or goes == UNKNOWN or goes >= 0:
      yield dataclasses.replace(fault, file=files.get(fault.image_id or 0))
    elif goes == LOST:
      yield None
  for rows, goes in unsorted.blocks():
    chosen = np.flatnonzero(goes < NOT_TAKEN)
    for row, code in zip(rows[chosen], goes[chosen].tolist()):
      if code == LOST:
        yield None
        continue
      image_id, annotation_id = int(row["image_id"]), int(row["annotation_id"])
      reason, detail = {
        UNKNOWN: ("unknown_image", f"no image {image_id} is listed"),
        REPEATED: ("duplicate_annotation", "an earlier annotation is the same"),
      }[code]
      yield Fault(
        reason=reason,
        detail=detail,
        image_id=image_id,
        file=files.get(image_id),
        annotation_id=annotation_id,
        number=int(row["number"]),
      )
