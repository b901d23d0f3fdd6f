"""Which pictures the records hold, told by their bytes: none may be in two splits.

A copy has another path and another name; only its bytes say that it was trained on.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from hardmine.components.jobs.shards import PARTS, Part
from hardmine.schemas.files import write_atomically


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
  """A record's image: the SHA-256 of its file in hex digits, and where that lay."""

  sha256: str
  path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copies:
  """Pictures that are more than one record's.

  Attributes:
    again: by split, records whose picture an earlier record of the split has.
    shared: pictures of several splits: a picture of each split by the split's name.
  """

  again: dict[str, int]
  shared: list[dict[str, Picture]]


def write_pictures(pictures: Iterable[Picture], staging: Path, part: Part) -> None:
  """Writes what a part's records hold beside the part."""
  lines = (json.dumps([picture.sha256, picture.path]) + "\n" for picture in pictures)
  write_atomically(_file(staging, part), "".join(lines), durable=False)


def find_copies(
  parts: Iterable[Part], shards: Mapping[str, Iterable[str]], staging: Path
) -> Copies:
  """Looks for equal pictures.

  Args:
    parts: of all shards.
    shards: paths of each split's shards.
    staging: where the parts lie.
  """
  split_of = {path: split for split, paths in shards.items() for path in paths}
  by_split: dict[str, list[Part]] = {split: [] for split in shards}
  for part in parts:
    by_split[split_of[part.shard_path]].append(part)
  # Eight bytes a picture; names are looked up for the few whose eight bytes agree.
  beginnings = {split: _beginnings(mine, staging) for split, mine in by_split.items()}
  unique = {split: np.unique(found) for split, found in beginnings.items()}
  wanted: set[int] = set()
  for one, other in itertools.combinations(unique.values(), 2):
    wanted.update(np.intersect1d(one, other, assume_unique=True).tolist())
  return Copies(
    again={split: len(beginnings[split]) - len(unique[split]) for split in shards},
    shared=_shared(by_split, wanted, staging) if wanted else [],
  )


def _shared(
  by_split: Mapping[str, list[Part]], wanted: set[int], staging: Path
) -> list[dict[str, Picture]]:
  found: dict[str, dict[str, Picture]] = collections.defaultdict(dict)
  for split, parts in by_split.items():
    for picture in _read(parts, staging):
      if _beginning(picture) in wanted:
        found[picture.sha256].setdefault(split, picture)
  return [places for places in found.values() if len(places) > 1]


def _beginnings(parts: Iterable[Part], staging: Path) -> np.ndarray:
  """uint64 [pictures]."""
  numbers = array.array("Q", map(_beginning, _read(parts, staging)))
  return np.frombuffer(numbers, np.uint64) if numbers else np.empty(0, np.uint64)


def _beginning(picture: Picture) -> int:
  return int(picture.sha256[:16], 16)


def _read(parts: Iterable[Part], staging: Path) -> Iterator[Picture]:
  for part in parts:
    with _file(staging, part).open(encoding="utf-8") as file:
      for line in file:
        sha256, path = json.loads(line)
        yield Picture(sha256=sha256, path=path)


def _file(staging: Path, part: Part) -> Path:
  return staging / PARTS / f"{part.name}.pictures"
