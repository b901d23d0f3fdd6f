"""The same photograph under several names: its patches are kept once.

Names and bytes may differ, as those of a copy without its EXIF: pixels are compared.
They are known when a photograph has been mined, so a doubled one is taken out again,
from the files of its part, before shards are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.components.jobs.shards import PARTS, Part, join_shard
from hardmine.components.jobs.tfrecords import read_records, write_records
from hardmine.schemas.patch_example import from_example


def find(reports: Iterable[Mapping[str, Any]]) -> dict[str, str]:
  """Ids of photographs that are not needed, each with the first of the same pixels.

  Args:
    reports: of `mine_part`, in any order.
  """
  used = sorted(
    (source, facts["digest"]) for r in reports for source, facts in r["used"].items()
  )
  first: dict[str, str] = {}
  for source, pixels in used:
    first.setdefault(pixels, source)
  return {source: first[p] for source, p in used if first[p] != source}


def drop(
  parts: Sequence[Part],
  reports: Sequence[Mapping[str, Any]],
  unwanted: Iterable[str],
  staging: Path,
) -> list[dict[str, Any]]:
  """Takes photographs out of shards that have been written.

  Args:
    parts: of all shards.
    reports: of the parts, in their order.
    unwanted: ids.
    staging: the folder of the shards and of the parts' files.

  Returns:
    The reports of what is left.
  """
  gone, changed, left = set(unwanted), set(), []
  for part, report in zip(parts, reports, strict=True):
    told = dict(report)
    if gone & report["used"].keys():
      path = staging / PARTS / f"{part.name}.tfrecord"
      told["records"] = write_records(path, _without(path, gone))
      told["used"] = {id_: f for id_, f in report["used"].items() if id_ not in gone}
      changed.add(part.shard_path)
    left.append(told)
  for shard in changed:
    names = [part.name for part in parts if part.shard_path == shard]
    join_shard((shard, names), str(staging), True)
  return left


def _without(path: Path, gone: set[str]) -> Iterable[bytes]:
  return (r for r in read_records(path) if from_example(r).source not in gone)
