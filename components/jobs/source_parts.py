"""Photographs dealt to shards, and shards cut into parts that name their files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from hardmine.components.jobs.dead_letters import DeadLetter
from hardmine.components.jobs.shard_job import Part, Workplace
from hardmine.components.jobs.sources import Listing, Source, read_source
from hardmine.schemas.uris import parent_and_name

ShardPath = Callable[[str, int, int], str]  # (split, shard, number of shards)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourcePart(Part):
  """Some photographs of one shard."""

  sources: tuple[Source, ...]

  def __len__(self) -> int:
    """Its number of photographs, by which Beam's RunInference counts."""
    return self.num_images


def plan_parts(
  splits: Mapping[str, Sequence[Source]], shard_path: ShardPath, num_shards: int
) -> Iterator[SourcePart]:
  """Deals the photographs of each split to its shards, and cuts shards into parts."""
  num_sources = sum(len(members) for members in splits.values())
  # Small enough to share out evenly, large enough not to litter.
  part_size = min(8, math.ceil(num_sources / 64))
  number = 0
  for split, members in splits.items():
    for shard in range(num_shards):
      mine = members[shard::num_shards]
      # A shard without photographs still is a file: readers expect them all.
      for start in range(0, max(1, len(mine)), part_size):
        chosen = tuple(mine[start : start + part_size])
        yield SourcePart(
          split=split,
          shard_path=shard_path(split, shard, num_shards),
          name=f"{number:08d}",
          num_images=len(chosen),
          sources=chosen,
        )
        number += 1


def shard_paths(
  splits: Iterable[str], shard_path: ShardPath, num_shards: int
) -> dict[str, list[str]]:
  """The paths of the shards of each split."""
  return {
    split: [shard_path(split, shard, num_shards) for shard in range(num_shards)]
    for split in splits
  }


def outside(place: Workplace, listing: Listing) -> Listing:
  """Without what the job itself has written by now where photographs lie."""
  own = f"/{parent_and_name(parent_and_name(place.scratch.url)[0])[1]}"

  def is_own(path: str) -> bool:
    return f"{own}/" in path or path.endswith(own)

  return dataclasses.replace(
    listing,
    sources=[source for source in listing.sources if not is_own(source.path)],
    skipped={k: why for k, why in listing.skipped.items() if not is_own(k)},
  )


def read_photograph(source: Source) -> bytes | DeadLetter:
  """A photograph's file, or why it cannot be read.

  Raises:
    RuntimeError: the bucket does not answer.
  """
  if source.is_directory:
    return DeadLetter(source=source.id, reason="directory", detail="not a file")
  try:
    return read_source(source.path)
  except OSError as error:
    return DeadLetter(
      source=source.id,
      reason="unreadable",
      detail=f"{type(error).__name__}: {error.strerror or error}",
    )
