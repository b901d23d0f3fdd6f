"""A whole conversion: read, deal, convert, check, count again, publish.

    annotations ─> rows on disk ─> sorted by part ─┐
    images ────────────────────────────────────────┴─> parts ─> shards ─> manifest

A job that fails leaves nothing but the list of what it could not use.
"""

from __future__ import annotations

import collections
import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam

from hardmine.components.coco_gen.convert_part import PLANS, ROWS, convert_part
from hardmine.components.coco_gen.pictures import Copies, find_copies
from hardmine.components.coco_gen.planning import Plan, make_plan
from hardmine.components.coco_gen.reading import (
  NothingAnnotated,
  input_files,
  read_annotations,
)
from hardmine.components.coco_gen.selection import select
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shards import PARTS, Progress, count_again, run_parts
from hardmine.components.jobs.sources import Source, fingerprint
from hardmine.schemas.categories import CATEGORIES_NAME, Categories
from hardmine.schemas.config import require
from hardmine.schemas.conversion_config import ConversionConfig
from hardmine.schemas.files import write_atomically
from hardmine.schemas.manifest import write_manifest
from hardmine.schemas.outputs import ANNOTATED_IMAGES, StagedFolder

_READ = "read"  # the folder of what was read, below the staging folder


def flat_shard_path(split: str, shard: int, num_shards: int) -> str:
  """The names that people expect in a folder of their own."""
  return f"{split}-{shard:05d}-of-{num_shards:05d}.tfrecord.gz"


def run_job(
  config: ConversionConfig,
  output_dir: str | os.PathLike,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  shard_path: Callable[[str, int, int], str] = flat_shard_path,
  overwrite: bool = False,
  needs_objects: bool = False,
  on_progress: Progress | None = None,
) -> dict[str, Any]:
  """Converts `config.sources` into `output_dir`.

  Args:
    config: what to convert.
    output_dir: a folder that does not exist or is empty, on storage that every
      worker sees.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    shard_path: (split, shard, num_shards) to a path below the output.
    overwrite: replaces records that were made before.
    needs_objects: refuses a split in which there is nothing to find.
    on_progress: called now and then with (images done, images).

  Returns:
    The manifest as written, with `counts`, `categories`, `config` and `input`.

  Raises:
    ValueError: annotations that cannot be read as a whole or that disagree, no
      image, a picture in two splits, a split without objects that needs them, or the
      output holds what may not be replaced.
    RuntimeError: too much is dead, or what was written does not add up.
  """
  folder = StagedFolder(output_dir, overwrite=overwrite, kind=ANNOTATED_IMAGES)
  files = input_files(config)
  folder.refuse_sources(file.path for found in files.values() for file in found)
  with folder as staging:
    plan, categories = _read_and_plan(config, files, shard_path, staging, folder.output)
    reports = run_parts(
      plan.parts,
      functools.partial(
        convert_part, config=config, categories=categories, staging_dir=str(staging)
      ),
      staging,
      make_pipeline=make_pipeline,
      on_progress=on_progress,
      compressed=False,
    )
    _join_letters(plan, staging)
    counts = _counts(plan, reports, categories)
    _check_shares(config, counts, staging, folder.output)
    images = count_again(staging, reports, "images")
    counts["splits"] = _count_splits(plan, images, reports, needs_objects)
    copies = find_copies(plan.parts, plan.shards, staging)
    _refuse_shared(copies, folder.output)
    counts["copies"] = sum(copies.again.values())
    _remove_scaffold(staging)
    (staging / CATEGORIES_NAME).write_text(categories.to_file(), "utf-8")
    manifest = write_manifest(
      staging,
      [*images, dead_letters.DEAD_LETTERS, CATEGORIES_NAME],
      kind=ANNOTATED_IMAGES,
      config=json.loads(config.to_json()),
      categories=json.loads(categories.to_json())["categories"],
      input={"fingerprint": input_fingerprint(files)},
      counts=counts,
    )
  dead_letters.report_beside(folder.output).unlink(missing_ok=True)  # of a failure
  return manifest


def input_fingerprint(files: dict[str, list[Source]]) -> str:
  """SHA-256 that changes when an input file is added, removed or rewritten."""
  return fingerprint([file for found in files.values() for file in found])


def _read_and_plan(
  config: ConversionConfig,
  files: dict[str, list[Source]],
  shard_path: Callable[[str, int, int], str],
  staging: Path,
  output: Path,
) -> tuple[Plan, Categories]:
  """Reads all annotations and writes down what the workers need.

  What was listed needs memory: it goes with this function.
  """
  try:
    sets, categories = read_annotations(config, files, staging / _READ)
  except NothingAnnotated as error:
    if not error.faults:
      raise
    report = dead_letters.report_beside(output)
    letters = dead_letters.lines(fault.line(path) for path, fault in error.faults)
    write_atomically(report, letters)
    raise ValueError(f"{error}; all of them: {report}") from error
  selection = select(config, sets, files)
  plan = make_plan(config, sets, selection, shard_path, staging)
  shutil.rmtree(staging / _READ)
  return plan, categories


def _remove_scaffold(staging: Path) -> None:
  """Removes what only the workers needed."""
  for name in (PARTS, PLANS):
    shutil.rmtree(staging / name)
  (staging / ROWS).unlink()


def _join_letters(plan: Plan, staging: Path) -> None:
  """Puts the workers' letters behind those that were known before."""
  with (staging / dead_letters.DEAD_LETTERS).open("ab") as file:
    for part in plan.parts:
      letters = staging / PARTS / f"{part.name}.letters"
      if letters.is_file():
        file.write(letters.read_bytes())


def _counts(
  plan: Plan, reports: list[dict[str, Any]], categories: Categories
) -> dict[str, Any]:
  """What the manifest says, but for the records of each split."""

  def total(kind: str) -> collections.Counter:
    counter: collections.Counter = collections.Counter()
    for report in reports:
      counter.update(report[kind])
    return counter

  dead, skipped = plan.dead + total("dead"), plan.skipped + total("skipped")
  objects = total("objects")
  num_images = sum(plan.num_images.values()) + plan.dead.total()
  lost = plan.lost + sum(report["lost"] for report in reports)
  return {
    "images": num_images,
    "used": num_images - dead.total(),
    "without_objects": sum(report["without_objects"] for report in reports),
    "dead": dead.total(),
    "dead_by_reason": dict(sorted(dead.items())),
    "notes": dict(sorted((plan.notes + total("notes")).items())),
    "annotations": objects.total() + skipped.total() + lost,
    "objects": objects.total(),
    "objects_by_category": {
      str(category.id): objects[str(category.id)] for category in categories.categories
    },
    "crowds": sum(report["crowds"] for report in reports),
    "clipped": sum(report["clipped"] for report in reports),
    "skipped": skipped.total(),
    "skipped_by_reason": dict(sorted(skipped.items())),
    "lost_with_image": lost,
    "splits": {},
  }


def _check_shares(
  config: ConversionConfig, counts: dict[str, Any], staging: Path, output: Path
) -> None:
  require(counts["images"] > 0, "at least one image", sources=config.sources)
  for noun, reasons in (("images", "dead"), ("annotations", "skipped")):
    dead_letters.check_share(
      counts[f"{reasons}_by_reason"],
      counts[noun],
      config.max_dead_share,
      noun=noun,
      output=output,
      write=lambda path: os.replace(staging / dead_letters.DEAD_LETTERS, path),
    )


def _count_splits(
  plan: Plan,
  images: dict[str, int],
  reports: list[dict[str, Any]],
  needs_objects: bool,
) -> dict[str, dict[str, int]]:
  """The records of each split, of which each needs some; `images` are by shard."""
  objects: collections.Counter = collections.Counter()
  for report in reports:
    objects[report["shard"]] += sum(report["objects"].values())
  counts = {
    split: {
      "images": sum(images[path] for path in paths),
      "objects": sum(objects[path] for path in paths),
    }
    for split, paths in plan.shards.items()
  }
  empty = [name for name, found in counts.items() if not found["images"]]
  if empty:
    raise RuntimeError(
      f"the split {', '.join(empty)} has no usable image; nothing was published: "
      "repair its images, or leave it out"
    )
  bare = [name for name, found in counts.items() if not found["objects"]]
  if bare and needs_objects:
    raise ValueError(
      f"the split {', '.join(bare)} has no object, so there is nothing to learn or to "
      "measure; nothing was published: annotate some of its images"
    )
  return counts


def _refuse_shared(copies: Copies, output: Path) -> None:
  """No picture may be in two splits, under whatever names."""
  if not copies.shared:
    return
  report = dead_letters.report_beside(output)
  letters = (
    {
      "source": one.path,
      "reason": "in_two_splits",
      "detail": f"in {split}, SHA-256 {one.sha256}",
    }
    for places in copies.shared
    for split, one in places.items()
  )
  write_atomically(report, dead_letters.lines(letters))
  first = " and ".join(
    f"{one.path} in {split}" for split, one in sorted(copies.shared[0].items())
  )
  raise ValueError(
    "Expected splits that share no picture: remove copies, or list with `only` which "
    f"images each takes. Received: {len(copies.shared)} pictures in two splits, the "
    f"first as {first}; all of them: {report}"
  )
