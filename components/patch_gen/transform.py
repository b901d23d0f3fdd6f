"""The Beam part of mining: parts of shards are mined in parallel, then joined.

    sources of a split, sorted by id
      shard 0:  part 0  part 1 ...   each mined by whoever is free, written to a file
      shard 1:  part 2  ...
      joined in order: the bytes of a shard do not depend on runner or workers

Only names and counts pass between stages, never pixels, so memory stays flat on
runners that shuffle in memory. Workers must see the staging folder.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import fsspec
from apache_beam.metrics import Metrics

from components.patch_gen.mine_image import DeadLetter, Mined, mine_image
from components.patch_gen.records import read_records, write_records
from components.patch_gen.sources import Source
from schemas.manifest import write_atomically
from schemas.mining_config import MiningConfig
from schemas.patch_example import serialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  """Some photographs of one shard. `name` sorts in the order in which they belong."""

  shard_path: str
  name: str
  sources: tuple[Source, ...]


@dataclasses.dataclass(kw_only=True)  # not frozen: Beam sets the label
class MineParts(beam.PTransform):
  """PCollection[Part] to the relative paths of the finished shards.

  Attributes:
    config: of the job.
    staging_dir: shards are written below it, and per part `parts/NAME.json`.
  """

  config: MiningConfig
  staging_dir: str

  def expand(self, input_or_inputs: Any) -> Any:
    return (
      input_or_inputs
      | "Spread" >> beam.Reshuffle()
      | "Mine" >> beam.Map(mine_part, self.config, self.staging_dir)
      | "ByShard" >> beam.GroupByKey()
      | "Join" >> beam.Map(join_shard, self.staging_dir)
    )


def mine_part(part: Part, config: MiningConfig, staging_dir: str) -> tuple[str, str]:
  """Mines the photographs of a part into its file and reports what happened.

  Returns:
    (path of the shard, name of the part).
  """
  report = {
    "shard": part.shard_path,
    "patches": 0,
    "used": [],
    "notes": collections.Counter(),
    "dead_letters": [],
  }

  def examples() -> Iterator[bytes]:
    for source in part.sources:
      mined = _mine(source, config)
      Metrics.counter("hardmine", "photographs-read").inc()
      if isinstance(mined, DeadLetter):
        Metrics.counter("hardmine", f"photographs-dead-{mined.reason}").inc()
        report["dead_letters"].append(dataclasses.asdict(mined))
        continue
      Metrics.counter("hardmine", "patches-kept").inc(len(mined.patches))
      report["used"].append(source.id)
      report["notes"].update(mined.notes)
      for patch in mined.patches:
        yield serialize(patch)

  folder = Path(staging_dir) / "parts"
  report["patches"] = write_records(folder / f"{part.name}.tfrecord", examples())
  # The report comes last: a part that has one is whole.
  write_atomically(folder / f"{part.name}.json", json.dumps(report))
  return part.shard_path, part.name


def join_shard(shard: tuple[str, Iterable[str]], staging_dir: str) -> str:
  """Writes the parts of a shard, one after the other, into its file."""
  path, names = shard
  folder = Path(staging_dir) / "parts"

  def records() -> Iterator[bytes]:
    for name in sorted(names):
      yield from read_records(folder / f"{name}.tfrecord")

  write_records(Path(staging_dir) / path, records())
  return path


def _mine(source: Source, config: MiningConfig) -> Mined | DeadLetter:
  if source.is_directory:
    return DeadLetter(source=source.id, reason="directory", detail="not a file")
  try:
    with fsspec.open(source.path, "rb") as file:
      data: bytes = file.read()  # pyright: ignore[reportAttributeAccessIssue]
  except OSError as error:
    return DeadLetter(
      source=source.id,
      reason="unreadable",
      detail=f"{type(error).__name__}: {error.strerror or error}",
    )
  return mine_image(data, source.id, config)
