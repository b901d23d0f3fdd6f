"""A whole mining job: list, mine, check, count again, publish.

A job that fails leaves nothing but the list of the files it could not use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import LETTERS, PLAN, SETTINGS, Workplace
from hardmine.components.jobs.shards import Progress, run_shards
from hardmine.components.jobs.sources import absolute_pattern
from hardmine.components.patch_gen.patch_job import (
  DUPLICATES,
  FLAT,
  SKIPPED,
  Layout,
  PatchJob,
)
from hardmine.components.patch_gen.scoring import score_definition
from hardmine.schemas.folders import join_files
from hardmine.schemas.manifest import file_facts
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.output_sets import output_set
from hardmine.schemas.outputs import PATCHES

_FIRST = "first-"  # before the name of a list of the first of two turns


def run_job(
  config: MiningConfig,
  output: str | os.PathLike,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  layout: Layout = FLAT,
  overwrite: bool = False,
  on_progress: Progress | None = None,
) -> dict[str, Any]:
  """Mines `config.images` into `output`.

  Args:
    config: what to mine.
    output: a folder that does not exist or is empty, on storage that every worker
      sees, or the URL of a prefix without objects.
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
  plain = layout.eval_share is not None  # TFX's readers know nothing of manifests
  made = output_set(output, kind=PATCHES, overwrite=overwrite, plain=plain)
  with made:
    place = Workplace.of(made)
    settings = {
      "config": config.to_json(),
      "patterns": [absolute_pattern(pattern) for pattern in config.images],
      "replaced": made.output if made.replaces else None,
    }
    place.tell(SETTINGS, settings)

    def mine(*without: str) -> dict[str, Any]:
      return run_shards(
        PatchJob(layout=layout, without=without),
        Workplace.of(made),
        make_pipeline=make_pipeline,
        on_progress=on_progress,
        made=made,
      )

    mined = mine()
    place = Workplace.of(made)  # perhaps that of an earlier call
    plan = place.told(PLAN)
    lists = [f"{LETTERS}.jsonl", f"{DUPLICATES}.jsonl"]
    dead_letters.check_share(
      mined["counts"]["dead"],
      plan["photographs"],
      config.max_dead_share,
      noun="files",
      output=made.output,
      write=lambda to, name: join_files(place.scratch, [*lists, SKIPPED], to, name),
    )
    counts = _counts(config, plan, mined)
    if not all(split["photographs"] for split in counts["splits"].values()):
      # None of a split could be used: share out the others anew.
      for name in lists:
        join_files(place.scratch, [name], place.scratch, _FIRST + name)
      lists = [_FIRST + name for name in lists]
      first, mined = mined, mine(*lists)
      counts = _counts(config, {**plan, "shards": place.told(PLAN)["shards"]}, mined)
      counts |= _faults(plan, first)
    join_files(place.scratch, [*lists, SKIPPED], made.shards, dead_letters.DEAD_LETTERS)
    letters = file_facts(made.shards, dead_letters.DEAD_LETTERS)
    manifest = made.commit(
      {**mined["files"], dead_letters.DEAD_LETTERS: letters},
      config=json.loads(config.to_json()),
      score=score_definition(config.patch_px),
      input={"fingerprint": plan["fingerprint"]},
      counts=counts,
    )
  dead_letters.remove_report_beside(made.output)  # of an earlier failure
  return manifest


def _counts(
  config: MiningConfig, plan: dict[str, Any], mined: dict[str, Any]
) -> dict[str, Any]:
  """What the manifest says."""
  found = mined["counts"]
  counts = {
    "photographs": plan["photographs"],
    **_faults(plan, mined),
    "notes": dict(sorted(found["notes"].items())),
    "matched_again": plan["repeated"],
    "skipped": plan["skipped"],
    "patches": sum(mined["records"].values()),
    "splits": {
      split: {
        "photographs": sum(mined["by_shard"][path]["used"] for path in paths),
        "patches": sum(mined["records"][path] for path in paths),
      }
      for split, paths in plan["shards"].items()
    },
  }
  if config.reductions != (1,):
    kept = found["reductions"]
    counts["patches_by_reduction"] = {
      str(r): kept.get(str(r), 0) for r in config.reductions
    }
  return counts


def _faults(plan: dict[str, Any], mined: dict[str, Any]) -> dict[str, Any]:
  """Of the turn that saw all photographs: what was used, and what was not."""
  dead = dict(sorted(mined["counts"]["dead"].items()))
  num_dead, num_again = sum(dead.values()), mined["lists"][DUPLICATES]
  return {
    "used": plan["photographs"] - num_dead - num_again,
    "dead": num_dead,
    "dead_by_reason": dead,
    "duplicates": num_again,
  }
