"""Conversion as a job of parts and shards: what goes where, and what it comes to.

    annotations ─> rows on disk ─> sorted by part ─┐
    images ────────────────────────────────────────┴─> parts

Annotations are read by one worker, on whose disk the rows lie meanwhile.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.components.coco_gen.convert_part import (
  CATEGORIES,
  ConvertPart,
  convert_part,
)
from hardmine.components.coco_gen.planning import LETTERS as PLANNED_LETTERS
from hardmine.components.coco_gen.planning import Plan, filled_parts, make_plan
from hardmine.components.coco_gen.reading import (
  NothingAnnotated,
  input_files,
  read_annotations,
)
from hardmine.components.coco_gen.selection import select
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import (
  LETTERS,
  PLAN,
  Part,
  Picture,
  ShardJob,
  Workplace,
  parsed,
  sum_counts,
)
from hardmine.components.jobs.sources import Source, fingerprint
from hardmine.schemas.categories import Categories
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import ConversionConfig
from hardmine.schemas.output_sets import check_sources

SHARED = "shared"  # the list of pictures that are in several splits
UNREAD = "unread.jsonl"  # annotations of which none could be read

_COUNTED = (
  *("notes", "dead", "skipped", "objects"),
  *("without_objects", "crowds", "clipped", "lost"),
)


def input_fingerprint(files: dict[str, list[Source]]) -> str:
  """SHA-256 that changes when an input file is added, removed or rewritten."""
  return fingerprint([file for found in files.values() for file in found])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertJob(ShardJob):
  """Converts annotated images.

  The settings have `config`, whose paths are absolute, and `replaced`: the output that
  will be replaced, or null.

  Attributes:
    shard_path: (split, shard, num_shards) to a path below the output.
  """

  shard_path: Callable[[str, int, int], str]
  noun = "images"
  compressed = False

  def plan(self, place: Workplace) -> Iterator[ConvertPart]:
    settings = place.settings()
    config = ConversionConfig.from_json(settings["config"])
    files = input_files(config)
    if settings["replaced"]:
      paths = (file.path for found in files.values() for file in found)
      check_sources(settings["replaced"], paths)
    with tempfile.TemporaryDirectory(prefix="hardmine-") as folder:
      plan = self._read(config, files, Path(folder), place)
      place.scratch.write(
        f"{LETTERS}-planned.jsonl", Path(folder, PLANNED_LETTERS).read_bytes()
      )
      told = {
        "shards": plan.shards,
        "images": sum(plan.num_images.values()),
        "parts": len(plan.parts),
        "dead": plan.dead,
        "skipped": plan.skipped,
        "lost": plan.lost,
        "notes": plan.notes,
        "fingerprint": input_fingerprint(files),
      }
      place.tell(PLAN, told)
      yield from filled_parts(plan, Path(folder))

  def _read(
    self,
    config: ConversionConfig,
    files: dict[str, list[Source]],
    folder: Path,
    place: Workplace,
  ) -> Plan:
    """Reads all annotations and deals their images to parts.

    What was listed needs memory: it goes with this function.
    """
    try:
      sets, categories = read_annotations(config, files, folder / "read")
    except NothingAnnotated as error:
      letters = dead_letters.lines(fault.line(path) for path, fault in error.faults)
      place.scratch.write(UNREAD, letters.encode("utf-8"))
      raise
    place.tell(CATEGORIES, categories.to_json())
    selection = select(config, sets, files)
    plan = make_plan(config, sets, selection, self.shard_path, folder)
    num_images = sum(plan.num_images.values()) + plan.dead.total()
    require(num_images > 0, "at least one image", sources=config.sources)
    return plan

  def work(self, part: Part, place: Workplace) -> dict[str, Any]:
    assert isinstance(part, ConvertPart)
    config = parsed(ConversionConfig, place.settings()["config"])
    return convert_part(part, config, place)

  def pictures(self, report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Told by their bytes: a copy has another name, and was trained on all the same."""
    return report["pictures"]

  def same(self, pictures: Sequence[Picture]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Counts copies within a split, and tells of pictures in several."""
    first: dict[str, Picture] = {}
    for picture in pictures:
      if first.setdefault(picture.split, picture) is not picture:
        yield picture.shard, {"copies": 1}
    if len(first) > 1:
      shared = [
        {
          "source": one.name,
          "reason": "in_two_splits",
          "detail": f"in {split}, SHA-256 {one.digest}",
          "split": split,
        }
        for split, one in sorted(first.items())
      ]
      yield pictures[0].shard, {"shared": shared}

  def counts(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, Any]:
    every = ({key: report[key] for key in _COUNTED} for report in reports)
    return {
      **sum_counts(({key: {} for key in _COUNTED[:4]}, *every)),
      "copies": sum(remark.get("copies", 0) for remark in remarks),
      "shared": sum("shared" in remark for remark in remarks),
    }

  def lists(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, list[dict[str, Any]]]:
    shared = (remark["shared"] for remark in remarks if "shared" in remark)
    return {
      LETTERS: [letter for report in reports for letter in report["letters"]],
      SHARED: [line for lines in sorted(shared, key=str) for line in lines],
    }


def categories_of(place: Workplace) -> Categories:
  """What the annotations that were read distinguish."""
  return Categories.from_json(place.told(CATEGORIES))
