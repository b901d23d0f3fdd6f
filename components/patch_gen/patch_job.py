"""Mining as a job of parts and shards: what goes where, and what it comes to."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shard_job import (
  LETTERS,
  PLAN,
  Part,
  Picture,
  ShardJob,
  Workplace,
  parsed,
)
from hardmine.components.jobs.shards import tfx_shard_path
from hardmine.components.jobs.source_parts import (
  ShardPath,
  SourcePart,
  outside,
  plan_parts,
  shard_paths,
)
from hardmine.components.jobs.sources import (
  Source,
  assign_splits,
  find_sources,
  fingerprint,
)
from hardmine.components.patch_gen.mine_part import mine_part
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.output_sets import check_sources
from hardmine.schemas.patch_example import source_of

DUPLICATES = "duplicates"  # the list of photographs that are there under another name
SKIPPED = "skipped.jsonl"  # files that are no photographs and were not opened


def flat_shard_path(split: str, shard: int, num_shards: int) -> str:
  """The names that people expect in a folder of their own."""
  del split
  return f"patches-{shard:05d}-of-{num_shards:05d}.tfrecord.gz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """How a folder of patches is arranged.

  Attributes:
    eval_share: of the photographs, for the split `eval`; None makes one split, `all`.
    shard_path: (split, shard, num_shards) to a path below the output.
  """

  eval_share: float | None
  shard_path: ShardPath

  def assign(self, sources: list[Source]) -> dict[str, list[Source]]:
    """Puts the photographs into named splits."""
    if self.eval_share is None:
      return {"all": sources}
    return assign_splits(sources, self.eval_share)


FLAT = Layout(eval_share=None, shard_path=flat_shard_path)


def tfx_layout(config: MiningConfig) -> Layout:
  """ExampleGen's files, photographs assigned to train and eval by `eval_share`."""
  return Layout(eval_share=config.eval_share, shard_path=tfx_shard_path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchJob(ShardJob):
  """Mines photographs.

  The settings have `config`, `patterns` (of the photographs, absolute) and `replaced`:
  the output that will be replaced, or null.

  Attributes:
    layout: of what is made.
    without: lists in the scratch folder, of photographs that are left out.
  """

  layout: Layout
  without: tuple[str, ...] = ()
  noun = "patches"

  def plan(self, place: Workplace) -> Iterator[SourcePart]:
    settings = place.settings()
    config = MiningConfig.from_json(settings["config"])
    listing = outside(place, find_sources(settings["patterns"]))
    if settings["replaced"]:
      check_sources(settings["replaced"], (s.path for s in listing.sources))
    gone = _named(place, self.without)
    splits = self.layout.assign([s for s in listing.sources if s.id not in gone])
    parts = list(plan_parts(splits, self.layout.shard_path, config.num_shards))
    skipped = [
      {"source": path, "reason": reason, "detail": "skipped"}
      for path, reason in listing.skipped.items()
    ]
    place.scratch.write(SKIPPED, dead_letters.lines(skipped).encode("utf-8"))
    plan = {
      "shards": shard_paths(splits, self.layout.shard_path, config.num_shards),
      "images": sum(part.num_images for part in parts),
      "parts": len(parts),
      "photographs": len(listing.sources),
      "repeated": listing.num_repeated,
      "skipped": dead_letters.count(listing.skipped.values()),
      "fingerprint": fingerprint(listing.sources),
    }
    place.tell(PLAN, plan)
    yield from parts

  def work(self, part: Part, place: Workplace) -> dict[str, Any]:
    assert isinstance(part, SourcePart)
    config = parsed(MiningConfig, place.settings()["config"])
    return mine_part(part, config, place)

  def pictures(self, report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return ((facts["digest"], name) for name, facts in report["used"].items())

  def same(self, pictures: Sequence[Picture]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Of equal photographs, the one whose id comes first is kept."""
    first, *others = sorted(pictures, key=lambda picture: picture.name)
    for picture in others:
      yield picture.shard, {"again": picture.name, "first": first.name}

  def unwanted(self, remarks: Iterable[Mapping[str, Any]]) -> Collection[str]:
    return {remark["again"] for remark in remarks}

  def image_of(self, record: bytes) -> str:
    return source_of(record)

  def counts(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, Any]:
    reports, gone = list(reports), self.unwanted(remarks)
    used = [f for r in reports for name, f in r["used"].items() if name not in gone]
    letters = (letter for report in reports for letter in report["dead_letters"])
    return {
      "used": len(used),
      "notes": collections.Counter(note for facts in used for note in facts["notes"]),
      "reductions": sum(
        (collections.Counter(facts["reductions"]) for facts in used),
        collections.Counter(),
      ),
      "dead": collections.Counter(letter["reason"] for letter in letters),
    }

  def lists(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, list[dict[str, Any]]]:
    again = (
      {
        "source": remark["again"],
        "reason": "duplicate",
        "detail": f"the pixels of {remark['first']}",
      }
      for remark in remarks
    )
    letters = (letter for report in reports for letter in report["dead_letters"])
    return {
      LETTERS: sorted(letters, key=self.order),
      DUPLICATES: sorted(again, key=self.order),
    }

  def order(self, line: Mapping[str, Any]) -> Any:
    return line["source"], line["reason"]


def _named(place: Workplace, lists: Iterable[str]) -> set[str]:
  """The photographs that lists name."""
  lines = (line for name in lists for line in place.scratch.read(name).splitlines())
  return {json.loads(line)["source"] for line in lines}
