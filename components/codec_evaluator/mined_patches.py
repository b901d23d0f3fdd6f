"""The hardest patches that a model was trained on, for a contact sheet."""

from __future__ import annotations

import heapq
import os

from hardmine.components.jobs.tfrecords import read_records
from hardmine.schemas.folders import folder
from hardmine.schemas.patch_example import Patch, from_example


def hardest(split_dir: str | os.PathLike, count: int = 48) -> list[Patch]:
  """The patches of highest score in a split's `.gz` files, hardest first.

  Args:
    split_dir: a folder or URL; of a bucket's files one at a time lies on this machine.
    count: of patches, at most.
  """
  best: list[tuple[int, int, Patch]] = []
  order = 0  # breaks ties, for patches do not compare
  places = folder(split_dir)
  for name in sorted(name for name in places.names() if name.endswith(".gz")):
    with places.local_copy(name) as path:
      for record in read_records(path):
        patch = from_example(record)
        order -= 1
        entry = (patch.score, order, patch)
        if len(best) < count:
          heapq.heappush(best, entry)
        else:
          heapq.heappushpop(best, entry)
  return [patch for _, _, patch in sorted(best, reverse=True, key=lambda e: e[:2])]
