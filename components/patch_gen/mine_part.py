"""Mining the photographs of a part: what one Beam worker does at a time."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

from apache_beam.metrics import Metrics

from hardmine.components.jobs.shard_job import Part, Workplace
from hardmine.components.jobs.shards import write_part
from hardmine.components.jobs.sources import Source, read_source
from hardmine.components.patch_gen.mine_image import DeadLetter, Mined, mine_image
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import serialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinePart(Part):
  """Some photographs of one shard."""

  sources: tuple[Source, ...]


def mine_part(part: MinePart, config: MiningConfig, place: Workplace) -> dict[str, Any]:
  """Mines the photographs of a part into its file.

  Returns:
    Its report: `used`, which maps ids to what is known of each photograph, and
    `dead_letters`.
  """
  report: dict[str, Any] = {
    "used": {},
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
      report["used"][source.id] = {
        "digest": mined.digest,
        "notes": mined.notes,
        "reductions": collections.Counter(
          str(patch.reduction) for patch in mined.patches
        ),
      }
      for patch in mined.patches:
        yield serialize(patch)

  return write_part(part, place, examples(), report)


def _mine(source: Source, config: MiningConfig) -> Mined | DeadLetter:
  if source.is_directory:
    return DeadLetter(source=source.id, reason="directory", detail="not a file")
  try:
    data = read_source(source.path)
  except OSError as error:
    return DeadLetter(
      source=source.id,
      reason="unreadable",
      detail=f"{type(error).__name__}: {error.strerror or error}",
    )
  return mine_image(data, source.id, config)
