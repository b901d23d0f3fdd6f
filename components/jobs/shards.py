"""Shards of records, made where nothing is shared but storage.

    one element ─> plan ─> parts ─> work ─> reports ─┬─> by shard ─> join ─> outcome
                                                     └─> by picture ─> remarks ─┘

The graph holds nothing of the data. Parts and reports, small as they are, go from
stage to stage; records go through storage, so memory stays flat on runners that shuffle
in memory, and no byte of a shard depends on runner or workers. Of Beam, what every
runner honours is used: neither tagged outputs nor windows nor anything of `__main__`.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from hardmine.components.jobs.failures import one_line_failures
from hardmine.components.jobs.job_identity import mark, place_of
from hardmine.components.jobs.joining import JOINED, OUTCOME, finish, join_shard
from hardmine.components.jobs.shard_job import (
  PARTS,
  PLAN,
  Part,
  Picture,
  ShardJob,
  Workplace,
)
from hardmine.components.jobs.tfrecords import put_records
from hardmine.components.jobs.watching import Progress, watched
from hardmine.schemas.bucket_sets import BucketSet
from hardmine.schemas.output_sets import OutputSet

_REFUSAL = "refusal.json"
_NUM_KEYS = 4096  # to spread parts by: more than any job has workers


def tfx_shard_path(split: str, shard: int, num_shards: int) -> str:
  """Where TFX's nodes look for a shard of a split."""
  return f"Split-{split}/data_tfrecord-{shard:05d}-of-{num_shards:05d}.gz"


def write_part(
  part: Part, place: Workplace, records: Iterable[bytes], report: Mapping[str, Any]
) -> dict[str, Any]:
  """Writes a part's records.

  Args:
    part: names the file.
    place: of the job.
    records: drawn once, to the end.
    report: JSON values, read after `records` were drawn.

  Returns:
    The report, with `part`, `file`, `split`, `shard`, and the numbers `images` and
    `records` added.
  """
  num_records = put_records(place.scratch, part.file, records)
  return {
    **report,
    "part": part.name,
    "file": part.file,
    "split": part.split,
    "shard": part.shard_path,
    "images": part.num_images,
    "records": num_records,
  }


def run_shards(
  job: ShardJob,
  place: Workplace,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  on_progress: Progress | None = None,
  made: OutputSet | None = None,
) -> dict[str, Any]:
  """Runs a job's Beam pipeline; what an earlier run left in the place is replaced.

  Where the runner knows the job again that an earlier call of the same run began, it
  has waited for that one: its folder is adopted.

  Args:
    job: what is to be done.
    place: with `SETTINGS` written.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    on_progress: called now and then with (images done, images).
    made: the set whose place it is; its place is another one afterwards if another
      job's was adopted.

  Returns:
    `files`, the facts of each shard for the manifest; `records`, their number by shard;
    `counts` of all, and `by_shard`; `lists`, the numbers of lines in the lists of the
    job, which lie in the scratch folder as `KIND.jsonl`.

  Raises:
    ValueError: the plan refused what it found.
    JobFailed: some work raised, or a process that did it died.
    RuntimeError: the runner lost or doubled something.
  """
  for name in (PARTS, JOINED):
    place.scratch.remove_tree(name)
  for name in (OUTCOME, PLAN, _REFUSAL):
    place.scratch.remove(name)
  remote = made if isinstance(made, BucketSet) else None  # others go with their caller
  own = remote.name if remote else ""
  with watched(place, on_progress), one_line_failures(), make_pipeline() as pipeline:
    if remote:
      mark(pipeline, own)
      if not isinstance(pipeline.runner, FnApiRunner):
        remote.outlived()
    reports = (
      pipeline
      | "Job" >> beam.Create([0])
      | "Plan" >> beam.FlatMap(functools.partial(_plan, job=job, place=place))
      | "SpreadKey" >> beam.Map(_with_key)
      | "Spread" >> beam.GroupByKey()
      | "Parts" >> beam.FlatMap(_values)
      | "Work" >> _working(job, place)
    )
    remarks = (
      reports
      | "Pictures" >> beam.FlatMap(functools.partial(_pictures, job=job))
      | "ByPicture" >> beam.GroupByKey()
      | "Same" >> beam.FlatMap(functools.partial(_same, job=job))
    )
    _ = (
      ((reports | "Reports" >> beam.Map(_of_shard)), remarks)
      | "Told" >> beam.Flatten()
      | "ByShard" >> beam.GroupByKey()
      | "Join" >> beam.Map(functools.partial(join_shard, job=job, place=place))
      | "Together" >> beam.GroupByKey()
      | "Finish" >> beam.Map(functools.partial(finish, job=job, place=place))
    )
  if remote and (other := place_of(pipeline.result, own)) != own:
    remote.adopt(other)
    place = Workplace.of(remote)
  if place.scratch.exists(_REFUSAL):
    raise ValueError(place.told(_REFUSAL))
  return _checked(place)


def _plan(_: int, job: ShardJob, place: Workplace) -> Iterator[Part]:
  try:
    yield from job.plan(place)
  except ValueError as error:  # a runner would tell of it as a fault of the machine
    place.tell(_REFUSAL, str(error))


def _with_key(part: Part) -> tuple[int, Part]:
  return zlib.crc32(part.name.encode()) % _NUM_KEYS, part


def _values(group: tuple[Any, Iterable[Any]]) -> Iterable[Any]:
  return group[1]


def _working(job: ShardJob, place: Workplace) -> Any:
  return job.working(place) or beam.Map(functools.partial(_work, job=job, place=place))


def _work(part: Part, job: ShardJob, place: Workplace) -> dict[str, Any]:
  return job.work(part, place)


def _of_shard(report: dict[str, Any]) -> tuple[str, dict[str, Any]]:
  return report["shard"], report


def _pictures(
  report: dict[str, Any], job: ShardJob
) -> Iterator[tuple[str, tuple[str, ...]]]:
  for digest, name in job.pictures(report):
    yield digest, (report["part"], name, report["split"], report["shard"])


def _same(
  group: tuple[str, Iterable[tuple[str, ...]]], job: ShardJob
) -> Iterator[tuple[str, dict[str, Any]]]:
  digest, members = group
  pictures = [
    Picture(digest=digest, name=name, part=part, split=split, shard=shard)
    for part, name, split, shard in sorted(set(members))
  ]
  if len(pictures) > 1:
    for shard, remark in job.same(pictures):
      yield shard, {"remark": remark}


def _checked(place: Workplace) -> dict[str, Any]:
  """The outcome, held against the plan."""
  plan = place.told(PLAN) if place.scratch.exists(PLAN) else None
  outcome = place.told(OUTCOME) if place.scratch.exists(OUTCOME) else None
  if plan is None or outcome is None:
    raise RuntimeError(
      f"the workers left nothing in {place.scratch.url}: they must be able to write "
      "where the output lies"
    )
  planned = {path for paths in plan["shards"].values() for path in paths}
  for what, found, expected in (
    ("shards", len(outcome["files"]), len(planned)),
    ("parts", outcome["parts"], plan["parts"]),
    ("images", outcome["images"], plan["images"]),
  ):
    if found != expected:
      raise RuntimeError(
        f"the Beam runner lost or doubled some: {found} {what} instead of {expected}; "
        "nothing was published"
      )
  return outcome
