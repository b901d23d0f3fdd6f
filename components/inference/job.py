"""A whole job of a model over photographs: stage, ask, check, publish.

A job that fails leaves nothing but the list of the files it could not use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from hardmine.components.inference.inference_job import SKIPPED, InferenceJob
from hardmine.components.inference.staged_model import forget_model, stage_model
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import LETTERS, PLAN, SETTINGS, Workplace
from hardmine.components.jobs.shards import Progress, run_shards
from hardmine.components.jobs.sources import absolute_pattern
from hardmine.schemas.exported_model import kind_of, read_facts
from hardmine.schemas.folders import join_files
from hardmine.schemas.inference_config import InferenceConfig
from hardmine.schemas.manifest import file_facts
from hardmine.schemas.output_sets import output_set


def run_job(
  job: InferenceJob,
  config: InferenceConfig,
  output: str | os.PathLike,
  *,
  model_dir: str | os.PathLike,
  make_pipeline: Callable[[], beam.Pipeline],
  overwrite: bool = False,
  on_progress: Progress | None = None,
) -> dict[str, Any]:
  """Asks a model about `config.images`, and publishes the answers.

  Args:
    job: what is asked.
    config: of the job's `config_class`, with the digest of the model.
    output: a folder that does not exist or is empty, on storage that every worker
      sees, or the URL of a prefix without objects.
    model_dir: the exported model, on this machine.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    overwrite: replaces a set of the same kind.
    on_progress: called now and then with (photographs done, photographs).

  Returns:
    The manifest as written, with `counts`, `config`, `model` and `input`.

  Raises:
    ValueError: no image, or the output holds what may not be replaced.
    RuntimeError: too many dead letters, the model has changed, or what was written
      does not add up.
  """
  facts = read_facts(model_dir, str(kind_of(model_dir)))
  made = output_set(output, kind=job.kind, overwrite=overwrite)
  try:
    with made:
      place = Workplace.of(made)
      stage_model(model_dir, config.runtime, config.model_digest, place.scratch)
      settings = {
        "config": config.to_json(),
        "patterns": [absolute_pattern(pattern) for pattern in config.images],
        "replaced": made.output if made.replaces else None,
      }
      place.tell(SETTINGS, settings)
      done = run_shards(
        job, place, make_pipeline=make_pipeline, on_progress=on_progress, made=made
      )
      manifest = _commit(job, config, facts, done, made)
  finally:
    forget_model()
  dead_letters.remove_report_beside(made.output)  # of an earlier failure
  return manifest


def _commit(
  job: InferenceJob,
  config: InferenceConfig,
  facts: dict[str, Any],
  done: dict[str, Any],
  made: Any,
) -> dict[str, Any]:
  place = Workplace.of(made)  # perhaps that of an earlier call
  plan = place.told(PLAN)
  lists = [f"{LETTERS}.jsonl", SKIPPED]
  dead_letters.check_share(
    done["counts"]["dead"],
    plan["images"],
    config.max_dead_share,
    noun="photographs",
    output=made.output,
    write=lambda to, name: join_files(place.scratch, lists, to, name),
  )
  join_files(place.scratch, lists, made.shards, dead_letters.DEAD_LETTERS)
  files = {
    **done["files"],
    **job.finished(place, done),
    dead_letters.DEAD_LETTERS: file_facts(made.shards, dead_letters.DEAD_LETTERS),
  }
  return made.commit(
    files,
    config=json.loads(config.to_json()),
    model={key: facts[key] for key in ("model_id", "categories") if key in facts},
    input={"fingerprint": plan["fingerprint"]},
    counts=_counts(job, plan, done),
  )


def _counts(
  job: InferenceJob, plan: dict[str, Any], done: dict[str, Any]
) -> dict[str, Any]:
  """What the manifest says."""
  found = dict(done["counts"])
  dead = dict(sorted(found.pop("dead").items()))
  notes = dict(sorted(found.pop("notes").items()))
  return {
    "photographs": plan["images"],
    "used": found.pop("used"),
    "notes": notes,
    "dead": sum(dead.values()),
    "dead_by_reason": dead,
    "matched_again": plan["repeated"],
    "skipped": plan["skipped"],
    job.noun: sum(done["records"].values()),
    **dict(sorted(found.items())),
  }
