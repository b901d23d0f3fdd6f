"""Mining the photographs of a part: what one Beam worker does at a time."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

from apache_beam.metrics import Metrics

from hardmine.components.jobs.dead_letters import DeadLetter
from hardmine.components.jobs.shard_job import Workplace
from hardmine.components.jobs.shards import write_part
from hardmine.components.jobs.source_parts import SourcePart, read_photograph
from hardmine.components.jobs.sources import Source
from hardmine.components.patch_gen.mine_image import Mined, mine_image
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import serialize


def mine_part(
  part: SourcePart, config: MiningConfig, place: Workplace
) -> dict[str, Any]:
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
  data = read_photograph(source)
  return data if isinstance(data, DeadLetter) else mine_image(data, source.id, config)
