"""Puts parts together to shards, and what is known of shards to an outcome."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hardmine.components.jobs.shard_job import ShardJob, Workplace, sum_counts
from hardmine.components.jobs.tfrecords import framed, put_pieces, read_records
from hardmine.schemas.files import sha256_of
from hardmine.schemas.folders import Folder, read_lines

OUTCOME = "outcome.json"
JOINED = "joined"  # the folder of what is known of finished shards


def join_shard(
  group: tuple[str, Iterable[dict[str, Any]]], job: ShardJob, place: Workplace
) -> tuple[int, dict[str, Any]]:
  """Writes a shard from its parts, one after the other, and reads it again.

  Args:
    group: the shard's path; reports of its parts, and remarks.
    job: of the parts.
    place: of the job.

  Returns:
    0, and what is known of the shard.

  Raises:
    RuntimeError: the shard does not hold what its parts do.
  """
  path, told = group
  facts_file = f"{JOINED}/{path}.json"
  if place.scratch.exists(facts_file):  # the answer to an earlier attempt was lost
    return 0, place.told(facts_file)
  every = list(told)
  by_part = {one["part"]: one for one in every if "part" in one}
  reports = [by_part[name] for name in sorted(by_part)]
  remarks = [one["remark"] for one in every if "remark" in one]
  kept: list[int] = []
  pieces = _pieces(job, place, reports, job.unwanted(remarks), kept)
  put_pieces(place.shards, path, pieces, compressed=job.compressed)
  found = _read_again(place.shards, path, job.lines)
  if found["records"] != sum(kept):
    raise RuntimeError(
      f"{place.shards.at(path)} holds {found['records']} {job.noun} instead of "
      f"{sum(kept)}; nothing was published"
    )
  facts = {
    "shard": path,
    "parts": len(reports),
    "images": sum(report["images"] for report in reports),
    **found,
    "counts": job.counts(reports, remarks),
    "lists": _write_lists(job, place, path, reports, remarks),
  }
  place.tell(facts_file, facts)
  for report in reports:  # by now nobody needs them
    place.scratch.remove(report["file"])
  return 0, facts


def _pieces(
  job: ShardJob,
  place: Workplace,
  reports: Iterable[Mapping[str, Any]],
  gone: Collection[str],
  kept: list[int],
) -> Iterator[bytes]:
  """The parts' records, framed; `kept` gets the number of each part's."""
  for report in reports:
    whole = set(gone).isdisjoint(name for _, name in job.pictures(report))
    if whole and not job.lines:
      yield from place.scratch.pieces(report["file"])
      kept.append(report["records"])
      continue
    with place.scratch.local_copy(report["file"]) as file:
      wanted = [
        record
        for record in read_records(file)
        if whole or job.image_of(record) not in gone
      ]
    yield from (record + b"\n" for record in wanted) if job.lines else framed(wanted)
    kept.append(len(wanted))


def _read_again(shards: Folder, path: str, lines: bool) -> dict[str, Any]:
  """Number of records, SHA-256 and length of a shard, from storage."""
  with shards.local_copy(path) as file:
    return {
      "records": sum(1 for _ in (_lines if lines else read_records)(file)),
      "sha256": sha256_of(file),
      "bytes": file.stat().st_size,
    }


def _lines(path: Path) -> Iterator[bytes]:
  with path.open("rb") as file:
    yield from file


def _write_lists(
  job: ShardJob,
  place: Workplace,
  path: str,
  reports: Iterable[Mapping[str, Any]],
  remarks: list[Mapping[str, Any]],
) -> dict[str, int]:
  """Writes the lines of each kind. Returns how many there are."""
  lists = job.lists(reports, remarks)
  for kind, lines in lists.items():
    if lines:
      text = "".join(json.dumps(line) + "\n" for line in lines)
      place.scratch.write(_list_file(kind, path), text.encode("utf-8"))
  return {kind: len(lines) for kind, lines in lists.items()}


def _list_file(kind: str, path: str) -> str:
  return f"{kind}/{path}.jsonl"


def finish(
  group: tuple[int, Iterable[dict[str, Any]]], job: ShardJob, place: Workplace
) -> None:
  """Puts together what is known of all shards."""
  shards = sorted(group[1], key=lambda facts: facts["shard"])
  lists = sum_counts(facts["lists"] for facts in shards)
  for kind in lists:
    _join_lists(job, place.scratch, kind, shards)
  outcome = {
    "files": {
      facts["shard"]: {key: facts[key] for key in ("sha256", "bytes")}
      for facts in shards
    },
    "records": {facts["shard"]: facts["records"] for facts in shards},
    "by_shard": {facts["shard"]: facts["counts"] for facts in shards},
    "counts": sum_counts(facts["counts"] for facts in shards),
    "images": sum(facts["images"] for facts in shards),
    "parts": sum(facts["parts"] for facts in shards),
    "lists": lists,
  }
  place.tell(OUTCOME, outcome)


def _join_lists(
  job: ShardJob, scratch: Folder, kind: str, shards: Iterable[Mapping[str, Any]]
) -> None:
  """Writes `KIND.jsonl`: what was there before the work, and each shard's lines."""
  names = [f"{kind}-planned.jsonl"] if scratch.exists(f"{kind}-planned.jsonl") else []
  names += [
    _list_file(kind, facts["shard"]) for facts in shards if facts["lists"].get(kind)
  ]
  every = (read_lines(scratch, name) for name in names)
  merged = heapq.merge(*every, key=lambda line: job.order(json.loads(line)))
  with scratch.new_file(f"{kind}.jsonl") as file:
    file.writelines(merged)
