"""A whole mining job: list, mine, check, count again, publish.

A job that fails leaves nothing but the list of the files it could not use.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam

from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shards import (
  PARTS,
  Progress,
  count_again,
  run_parts,
  tfx_shard_path,
)
from hardmine.components.jobs.sources import (
  Listing,
  Source,
  assign_splits,
  find_sources,
  fingerprint,
)
from hardmine.components.patch_gen import duplicates
from hardmine.components.patch_gen.mine_part import MinePart, mine_part
from hardmine.components.patch_gen.scoring import score_definition
from hardmine.schemas.files import write_atomically
from hardmine.schemas.manifest import write_manifest
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.outputs import PATCHES, StagedFolder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """How a folder of patches is arranged.

  Attributes:
    assign: puts the photographs into named splits.
    shard_path: (split, shard, num_shards) to a path below the output.
  """

  assign: Callable[[list[Source]], dict[str, list[Source]]]
  shard_path: Callable[[str, int, int], str]


FLAT = Layout(
  assign=lambda sources: {"all": sources},
  shard_path=lambda _, shard, num: f"patches-{shard:05d}-of-{num:05d}.tfrecord.gz",
)


def tfx_layout(config: MiningConfig) -> Layout:
  """ExampleGen's files, photographs assigned to train and eval by `eval_share`."""
  return Layout(
    assign=lambda sources: assign_splits(sources, config.eval_share),
    shard_path=tfx_shard_path,
  )


def run_job(
  config: MiningConfig,
  output_dir: str | os.PathLike,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  layout: Layout = FLAT,
  overwrite: bool = False,
  on_progress: Progress | None = None,
) -> dict[str, Any]:
  """Mines `config.images` into `output_dir`.

  Args:
    config: what to mine.
    output_dir: a folder that does not exist or is empty, on storage that every
      worker sees.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    layout: the names of the files.
    overwrite: replaces patches that were mined before.
    on_progress: called now and then with (photographs done, photographs).

  Returns:
    The manifest as written, with `counts`, `score`, `config` and `input`.

  Raises:
    ValueError: no image, or the output holds what may not be replaced.
    RuntimeError: too many dead letters, or what was written does not add up.
  """
  folder = StagedFolder(output_dir, overwrite=overwrite, kind=PATCHES)
  listing = find_sources(config.images)
  sources = listing.sources
  folder.refuse_sources(source.path for source in sources)
  with folder as staging:

    def mine(splits: dict[str, list[Source]]) -> _Mined:
      parts = plan(splits, layout, config.num_shards)
      reports = run_parts(
        parts,
        functools.partial(mine_part, config=config, staging_dir=str(staging)),
        staging,
        make_pipeline=make_pipeline,
        on_progress=on_progress,
      )
      again = duplicates.find(reports)
      return _Mined(
        splits=splits,
        reports=duplicates.drop(parts, reports, again, staging),
        letters=_letters(reports),
        duplicates=again,
      )

    mined = _mine(sources, config, layout, folder.output, listing.skipped, mine)
    patches = count_again(staging, mined.reports, "patches")
    shutil.rmtree(staging / PARTS)
    mined.write_letters(staging / dead_letters.DEAD_LETTERS, listing.skipped)
    manifest = write_manifest(
      staging,
      [*patches, dead_letters.DEAD_LETTERS],
      kind=PATCHES,
      config=json.loads(config.to_json()),
      score=score_definition(config.patch_px),
      input={"fingerprint": fingerprint(sources)},
      counts=_counts(config, layout, mined, patches, listing),
    )
  # Of an earlier failure.
  dead_letters.report_beside(folder.output).unlink(missing_ok=True)
  return manifest


def plan(
  splits: dict[str, list[Source]], layout: Layout, num_shards: int
) -> list[MinePart]:
  """Deals the photographs of each split to its shards, and cuts shards into parts."""
  num_sources = sum(len(members) for members in splits.values())
  # Small enough to share out evenly, large enough not to litter.
  part_size = min(8, math.ceil(num_sources / 64))
  parts: list[MinePart] = []
  for split, members in splits.items():
    for shard in range(num_shards):
      mine = members[shard::num_shards]
      # A shard without photographs still is a file: readers expect them all.
      for start in range(0, max(1, len(mine)), part_size):
        chosen = tuple(mine[start : start + part_size])
        parts.append(
          MinePart(
            shard_path=layout.shard_path(split, shard, num_shards),
            name=f"{len(parts):08d}",
            num_images=len(chosen),
            sources=chosen,
          )
        )
  return parts


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Mined:
  """What the workers were given, and what they say about it.

  Attributes:
    splits: the photographs of each.
    reports: of all parts.
    letters: of all photographs that could not be used.
    duplicates: id of a photograph to that of the one with the same pixels, which was
      used in its place.
  """

  splits: dict[str, list[Source]]
  reports: list[dict[str, Any]]
  letters: list[dict[str, Any]]
  duplicates: dict[str, str]

  def dead_by_reason(self) -> dict[str, int]:
    return dead_letters.count(letter["reason"] for letter in self.letters)

  def write_letters(self, path: Path, skipped: Mapping[str, str]) -> None:
    """Writes what was not used and why, the files that were `skipped` last."""
    told = [
      *self.letters,
      *(
        {"source": source, "reason": "duplicate", "detail": f"the pixels of {first}"}
        for source, first in self.duplicates.items()
      ),
      *(
        {"source": path, "reason": reason, "detail": "skipped"}
        for path, reason in skipped.items()
      ),
    ]
    write_atomically(path, dead_letters.lines(told))

  def num_used(self, split: str) -> int:
    ids = {source.id for source in self.splits[split]}
    return sum(used in ids for report in self.reports for used in report["used"])

  def sum(self, key: str) -> collections.Counter:
    """How often a word was said of the photographs that are used."""
    facts = (one for report in self.reports for one in report["used"].values())
    return sum((collections.Counter(one[key]) for one in facts), collections.Counter())


def _mine(
  sources: list[Source],
  config: MiningConfig,
  layout: Layout,
  output: Path,
  skipped: Mapping[str, str],
  mine: Callable[[dict[str, list[Source]]], _Mined],
) -> _Mined:
  """Mines all photographs, a second time where a split had none that is usable."""
  mined = mine(layout.assign(sources))
  dead_letters.check_share(
    mined.dead_by_reason(),
    len(sources),
    config.max_dead_share,
    noun="files",
    output=output,
    write=lambda path: mined.write_letters(path, skipped),
  )
  if all(mined.num_used(split) for split in mined.splits):
    return mined
  # None of a split could be used: share out the others anew.
  gone = {letter["source"] for letter in mined.letters} | mined.duplicates.keys()
  again = mine(layout.assign([s for s in sources if s.id not in gone]))
  return dataclasses.replace(again, letters=mined.letters, duplicates=mined.duplicates)


def _letters(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
  return sorted(
    (letter for report in reports for letter in report["dead_letters"]),
    key=lambda letter: (letter["source"], letter["reason"]),
  )


def _counts(
  config: MiningConfig,
  layout: Layout,
  mined: _Mined,
  patches: dict[str, int],
  listing: Listing,
) -> dict[str, Any]:
  """What the manifest says; `patches` are those of each shard."""
  num_shards, num_sources = config.num_shards, len(listing.sources)
  num_dead, num_again = len(mined.letters), len(mined.duplicates)
  shards = {
    split: [layout.shard_path(split, shard, num_shards) for shard in range(num_shards)]
    for split in mined.splits
  }
  return {
    "photographs": num_sources,
    "used": num_sources - num_dead - num_again,
    "dead": num_dead,
    "dead_by_reason": mined.dead_by_reason(),
    "duplicates": num_again,
    "notes": dict(sorted(mined.sum("notes").items())),
    "matched_again": listing.num_repeated,
    "skipped": dead_letters.count(listing.skipped.values()),
    "patches": sum(patches.values()),
    **_by_reduction(mined, config),
    "splits": {
      split: {
        "photographs": mined.num_used(split),
        "patches": sum(patches[path] for path in paths),
      }
      for split, paths in shards.items()
    },
  }


def _by_reduction(mined: _Mined, config: MiningConfig) -> dict[str, dict[str, int]]:
  """How many patches each reduction gave; nothing where there is but the whole."""
  if config.reductions == (1,):
    return {}
  kept = mined.sum("reductions")
  return {"patches_by_reduction": {str(r): kept[str(r)] for r in config.reductions}}
