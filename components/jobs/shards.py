"""Shards of records, written in parallel: parts of shards, which then are joined.

    shard 0:  part 0  part 1 ...   each made by whoever is free, written to a file
    shard 1:  part 2  ...
    joined in order: the bytes of a shard do not depend on runner or workers

Only names and counts pass between stages, never pixels, so memory stays flat on
runners that shuffle in memory. Workers must see the staging folder.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from hardmine.components.jobs.failures import one_line_failures
from hardmine.components.jobs.tfrecords import join_records, read_records, write_records
from hardmine.schemas.files import naming

PARTS = "parts"  # the folder of the parts' files, below the staging folder
_POLL_SECONDS = 0.2

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  """Some images of one shard.

  Attributes:
    shard_path: the shard's path below the output.
    name: sorts in the order in which the parts of a shard belong.
    num_images: how many it holds, for progress.
  """

  shard_path: str
  name: str
  num_images: int


@dataclasses.dataclass(kw_only=True)  # not frozen: Beam sets the label
class WriteShards(beam.PTransform):
  """PCollection of parts to the relative paths of the finished shards.

  Attributes:
    work: makes a part, with `write_part`; (path of the shard, name of the part).
    staging_dir: shards are written below it.
    compressed: whether shards named `.gz` are deflated; False stores what is
      compressed already.
  """

  work: Callable[[Any], tuple[str, str]]
  staging_dir: str
  compressed: bool = True

  def expand(self, input_or_inputs: Any) -> Any:
    return (
      input_or_inputs
      | "Spread" >> beam.Reshuffle()
      | "Work" >> beam.Map(self.work)
      | "ByShard" >> beam.GroupByKey()
      | "Join" >> beam.Map(join_shard, self.staging_dir, self.compressed)
    )


def tfx_shard_path(split: str, shard: int, num_shards: int) -> str:
  """Where TFX's nodes look for a shard of a split."""
  return f"Split-{split}/data_tfrecord-{shard:05d}-of-{num_shards:05d}.gz"


def write_part(
  part: Part, staging_dir: str, records: Iterable[bytes], report: Mapping[str, Any]
) -> tuple[str, str]:
  """Writes a part's records, and then its report.

  Args:
    part: names the files.
    staging_dir: of the job.
    records: drawn once, to the end.
    report: JSON values, read after `records` were drawn; `shard` and `records`
      (their number) are added.

  Returns:
    (path of the shard, name of the part).
  """
  folder = Path(staging_dir) / PARTS
  num_records = write_records(folder / f"{part.name}.tfrecord", records)
  told = {**report, "shard": part.shard_path, "records": num_records}
  # The report comes last: a part that has one is whole. Nothing of a job survives a
  # crash, so none of this waits for the disk.
  staged = folder / f".{part.name}.{uuid.uuid4().hex}"
  with naming(staged):
    staged.write_text(json.dumps(told), "utf-8")
  os.replace(staged, folder / f"{part.name}.json")
  return part.shard_path, part.name


def join_shard(
  shard: tuple[str, Iterable[str]], staging_dir: str, compressed: bool
) -> str:
  """Writes the parts of a shard, one after the other, into its file."""
  path, names = shard
  folder = Path(staging_dir) / PARTS
  parts = [folder / f"{name}.tfrecord" for name in sorted(names)]
  join_records(Path(staging_dir) / path, parts, compressed=compressed)
  return path


def run_parts(
  parts: Sequence[Part],
  work: Callable[[Any], tuple[str, str]],
  staging: Path,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  on_progress: Progress | None = None,
  compressed: bool = True,
) -> list[dict[str, Any]]:
  """Runs the Beam pipeline; parts and shards of an earlier run are replaced.

  Args:
    parts: of all shards. A shard without images needs a part, too: readers expect
      its file.
    work: as in `WriteShards`.
    staging: the folder below which everything is written.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    on_progress: called now and then with (images done, images).
    compressed: as in `WriteShards`.

  Returns:
    The parts' reports, in the order of `parts`.

  Raises:
    JobFailed: `work` raised, or a process that did it died.
    RuntimeError: the workers wrote somewhere else.
  """
  shutil.rmtree(staging / PARTS, ignore_errors=True)
  (staging / PARTS).mkdir(parents=True)
  write = WriteShards(work=work, staging_dir=str(staging), compressed=compressed)
  with (
    _watch(staging, parts, on_progress),
    one_line_failures(),
    make_pipeline() as pipeline,
  ):
    _ = pipeline | "Parts" >> beam.Create(parts) | "WriteShards" >> write
  paths = [staging / PARTS / f"{part.name}.json" for part in parts]
  missing = [path.stem for path in paths if not path.is_file()]
  if missing:
    raise RuntimeError(
      f"{len(missing)} of {len(parts)} parts left no report in {staging}: the workers "
      "must see this folder"
    )
  return [json.loads(path.read_text("utf-8")) for path in paths]


def count_again(
  staging: Path, reports: Iterable[Mapping[str, Any]], noun: str
) -> dict[str, int]:
  """Reads every shard: {relative path: records}.

  Raises:
    RuntimeError: a shard does not hold what its parts reported, or is damaged.
  """
  expected: collections.Counter = collections.Counter()
  for report in reports:
    expected[report["shard"]] += report["records"]
  for path, count in expected.items():
    file = staging / path
    found = sum(1 for _ in read_records(file)) if file.is_file() else None
    if found != count:
      raise RuntimeError(
        f"{file} holds {found} {noun} instead of {count}: the Beam runner lost or "
        "doubled some; nothing was published"
      )
  return dict(expected)


@contextlib.contextmanager
def _watch(
  staging: Path, parts: Sequence[Part], on_progress: Progress | None
) -> Iterator[None]:
  """Watches for the parts' reports: that works with any runner and any workers."""
  if on_progress is None:
    yield
    return
  sizes = {part.name: part.num_images for part in parts}
  stop = threading.Event()

  def look() -> None:
    done = sum(sizes.get(path.stem, 0) for path in (staging / PARTS).glob("*.json"))
    on_progress(done, sum(sizes.values()))

  def watch() -> None:
    while not stop.wait(_POLL_SECONDS):
      look()

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
    look()
  finally:
    stop.set()
    thread.join()
