"""A whole conversion: read, deal, convert, check, count again, publish.

A job that fails leaves nothing but the list of what it could not use.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from hardmine.components.coco_gen.convert_job import (
  SHARED,
  UNREAD,
  ConvertJob,
  categories_of,
)
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import LETTERS, PLAN, SETTINGS, Workplace
from hardmine.components.jobs.shards import Progress, run_shards
from hardmine.components.jobs.sources import absolute_pattern
from hardmine.schemas.categories import CATEGORIES_NAME, Categories
from hardmine.schemas.conversion_config import ConversionConfig
from hardmine.schemas.folders import Folder, copy_file, folder, read_lines
from hardmine.schemas.manifest import file_facts
from hardmine.schemas.output_sets import output_set
from hardmine.schemas.outputs import ANNOTATED_IMAGES
from hardmine.schemas.uris import join

_LETTERS_FILE = f"{LETTERS}.jsonl"


def flat_shard_path(split: str, shard: int, num_shards: int) -> str:
  """The names that people expect in a folder of their own."""
  return f"{split}-{shard:05d}-of-{num_shards:05d}.tfrecord.gz"


def run_job(
  config: ConversionConfig,
  output: str | os.PathLike,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  shard_path: Callable[[str, int, int], str] = flat_shard_path,
  overwrite: bool = False,
  needs_objects: bool = False,
  on_progress: Progress | None = None,
) -> dict[str, Any]:
  """Converts `config.sources` into `output`.

  Args:
    config: what to convert.
    output: a folder that does not exist or is empty, on storage that every worker
      sees, or the URL of a prefix without objects.
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
  plain = shard_path is not flat_shard_path  # TFX's readers know nothing of manifests
  made = output_set(output, kind=ANNOTATED_IMAGES, overwrite=overwrite, plain=plain)
  with made:
    place = Workplace.of(made)
    settings = {
      "config": _absolute(config).to_json(),
      "replaced": made.output if made.replaces else None,
    }
    place.tell(SETTINGS, settings)
    try:
      done = run_shards(
        ConvertJob(shard_path=shard_path),
        place,
        make_pipeline=make_pipeline,
        on_progress=on_progress,
        made=made,
      )
    except ValueError as error:
      raise ValueError(_told(error, made.scratch, made.output)) from error
    place = Workplace.of(made)  # perhaps that of an earlier call
    plan, categories = place.told(PLAN), categories_of(place)
    counts = _counts(plan, done, categories)
    _check_shares(config, counts, place.scratch, made.output)
    counts["splits"] = _count_splits(plan, done, needs_objects)
    _refuse_shared(done, place.scratch, made.output)
    copy_file(place.scratch, _LETTERS_FILE, made.shards, dead_letters.DEAD_LETTERS)
    made.shards.write(CATEGORIES_NAME, categories.to_file().encode("utf-8"))
    others = (dead_letters.DEAD_LETTERS, CATEGORIES_NAME)
    manifest = made.commit(
      {**done["files"], **{name: file_facts(made.shards, name) for name in others}},
      config=json.loads(config.to_json()),
      categories=json.loads(categories.to_json())["categories"],
      input={"fingerprint": plan["fingerprint"]},
      counts=counts,
    )
  dead_letters.remove_report_beside(made.output)  # of an earlier failure
  return manifest


def _absolute(config: ConversionConfig) -> ConversionConfig:
  """With paths that mean the same to a worker, wherever that stands."""
  sources = (
    dataclasses.replace(
      source,
      images=absolute_pattern(source.images),
      annotations=absolute_pattern(source.annotations),
      only=source.only and absolute_pattern(source.only),
    )
    for source in config.sources
  )
  return dataclasses.replace(config, sources=tuple(sources))


def _report(scratch: Folder, name: str, output: str) -> str:
  """Leaves a list beside the output. Returns where it lies."""
  where, report = dead_letters.report_beside(output)
  copy_file(scratch, name, folder(where), report)
  return join(where, report)


def _told(error: ValueError, scratch: Folder, output: str) -> str:
  """What to say of annotations that were refused."""
  if not scratch.exists(UNREAD) or not scratch.size(UNREAD):
    return str(error)
  return f"{error}; all of them: {_report(scratch, UNREAD, output)}"


def _counts(
  plan: dict[str, Any], done: dict[str, Any], categories: Categories
) -> dict[str, Any]:
  """What the manifest says, but for the records of each split."""
  found = done["counts"]

  def total(key: str) -> collections.Counter:
    return collections.Counter(plan[key]) + collections.Counter(found[key])

  dead, skipped, objects = total("dead"), total("skipped"), found["objects"]
  num_images = plan["images"] + sum(plan["dead"].values())
  lost = plan["lost"] + found["lost"]
  num_objects = sum(objects.values())
  return {
    "images": num_images,
    "used": num_images - dead.total(),
    "without_objects": found["without_objects"],
    "dead": dead.total(),
    "dead_by_reason": dict(sorted(dead.items())),
    "notes": dict(sorted(total("notes").items())),
    "annotations": num_objects + skipped.total() + lost,
    "objects": num_objects,
    "objects_by_category": {
      str(category.id): objects.get(str(category.id), 0)
      for category in categories.categories
    },
    "crowds": found["crowds"],
    "clipped": found["clipped"],
    "skipped": skipped.total(),
    "skipped_by_reason": dict(sorted(skipped.items())),
    "lost_with_image": lost,
    "copies": found["copies"],
    "splits": {},
  }


def _check_shares(
  config: ConversionConfig, counts: dict[str, Any], scratch: Folder, output: str
) -> None:
  for noun, reasons in (("images", "dead"), ("annotations", "skipped")):
    dead_letters.check_share(
      counts[f"{reasons}_by_reason"],
      counts[noun],
      config.max_dead_share,
      noun=noun,
      output=output,
      write=lambda to, name: copy_file(scratch, _LETTERS_FILE, to, name),
    )


def _count_splits(
  plan: dict[str, Any], done: dict[str, Any], needs_objects: bool
) -> dict[str, dict[str, int]]:
  """The records of each split, of which each needs some."""
  counts = {
    split: {
      "images": sum(done["records"][path] for path in paths),
      "objects": sum(sum(done["by_shard"][path]["objects"].values()) for path in paths),
    }
    for split, paths in plan["shards"].items()
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


def _refuse_shared(done: dict[str, Any], scratch: Folder, output: str) -> None:
  """No picture may be in two splits, under whatever names."""
  if not done["counts"]["shared"]:
    return
  name = f"{SHARED}.jsonl"
  first = [json.loads(line) for line in itertools.islice(read_lines(scratch, name), 2)]
  told = " and ".join(f"{one['source']} in {one['split']}" for one in first)
  raise ValueError(
    "Expected splits that share no picture: remove copies, or list with `only` which "
    f"images each takes. Received: {done['counts']['shared']} pictures in two splits, "
    f"the first as {told}; all of them: {_report(scratch, name, output)}"
  )
