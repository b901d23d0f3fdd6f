"""A whole mining job: list, mine, check, count again, publish.

Everything is made in a hidden folder beside the output, which gets its name in
one move at the end. A job that fails leaves nothing but the list of the files it
could not use.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import math
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

from components.patch_gen.records import read_records
from components.patch_gen.scoring import SCORE
from components.patch_gen.sources import (
  Source,
  assign_splits,
  fingerprint,
  list_sources,
)
from components.patch_gen.transform import MineParts, Part
from schemas.config import require
from schemas.manifest import write_atomically, write_manifest
from schemas.mining_config import MiningConfig

DEAD_LETTERS = "dead_letters.jsonl"
_POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """How a folder of patches is arranged.

  Attributes:
    assign: puts the photographs into named splits.
    shard_path: (split, shard, num_shards) to a path below the output.
  """

  assign: Callable[[list[Source]], dict[str, list[Source]]]
  shard_path: Callable[[str, int, int], str]


FLAT = Layout(
  assign=lambda sources: {"all": sources},
  shard_path=lambda _, shard, num: f"patches-{shard:05d}-of-{num:05d}.tfrecord.gz",
)


def tfx_layout(config: MiningConfig) -> Layout:
  """ExampleGen's files, photographs assigned to train and eval by `eval_share`."""
  return Layout(
    assign=lambda sources: assign_splits(sources, config.eval_share),
    shard_path=lambda split, shard, num: (
      f"Split-{split}/data_tfrecord-{shard:05d}-of-{num:05d}.gz"
    ),
  )


def run_job(
  config: MiningConfig,
  output_dir: str | os.PathLike,
  *,
  make_pipeline: Callable[[], beam.Pipeline],
  layout: Layout = FLAT,
  overwrite: bool = False,
  on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
  """Mines `config.images` into `output_dir`.

  Args:
    config: what to mine.
    output_dir: a folder that does not exist or is empty, on storage that every
      worker sees.
    make_pipeline: gives a Beam pipeline on the wanted runner.
    layout: the names of the files.
    overwrite: replaces an output that has content.
    on_progress: called now and then with (photographs done, photographs).

  Returns:
    The manifest as written, with `counts`, `score`, `config` and `input`.

  Raises:
    ValueError: no image, or the output has content.
    RuntimeError: too many dead letters, or what was written does not add up.
  """
  output = _local_folder(output_dir)
  require(
    overwrite or not output.exists() or (output.is_dir() and not any(output.iterdir())),
    "an output folder that does not exist or is empty (or --overwrite)",
    output=str(output_dir),
  )
  sources, num_repeated = list_sources(config.images)
  output.parent.mkdir(parents=True, exist_ok=True)
  staging = output.parent / f".{output.name}.staging-{uuid.uuid4().hex[:8]}"
  try:
    splits = layout.assign(sources)
    reports = _mine(config, layout, splits, staging, make_pipeline, on_progress)
    letters = sorted(
      (letter for report in reports for letter in report["dead_letters"]),
      key=lambda letter: (letter["source"], letter["reason"]),
    )
    _check_dead_share(config, output, letters, len(sources))
    if any(not _photographs(reports, members) for members in splits.values()):
      # All photographs of a split were dead: share out the living ones anew.
      dead = {letter["source"] for letter in letters}
      splits = layout.assign([s for s in sources if s.id not in dead])
      reports = _mine(config, layout, splits, staging, make_pipeline, on_progress)
    patches = _verify(staging, reports)
    shutil.rmtree(staging / "parts")
    write_atomically(staging / DEAD_LETTERS, _lines(letters))
    manifest = write_manifest(
      staging,
      [*patches, DEAD_LETTERS],
      kind="patches",
      config=json.loads(config.to_json()),
      score=SCORE,
      input={"fingerprint": fingerprint(sources)},
      counts={
        "photographs": len(sources),
        "used": len(sources) - len(letters),
        "dead": len(letters),
        "dead_by_reason": _count(letter["reason"] for letter in letters),
        "notes": dict(
          sorted(sum((collections.Counter(r["notes"]) for r in reports), _NONE).items())
        ),
        "matched_again": num_repeated,
        "patches": sum(patches.values()),
        "splits": {
          split: {
            "photographs": _photographs(reports, members),
            "patches": sum(
              patches[layout.shard_path(split, shard, config.num_shards)]
              for shard in range(config.num_shards)
            ),
          }
          for split, members in splits.items()
        },
      },
    )
    _publish(staging, output)
  finally:
    shutil.rmtree(staging, ignore_errors=True)
  _report_beside(output).unlink(missing_ok=True)  # of an earlier failure
  return manifest


_NONE: collections.Counter = collections.Counter()


def plan(
  splits: dict[str, list[Source]], layout: Layout, num_shards: int
) -> list[Part]:
  """Deals the photographs of each split to its shards, and cuts shards into parts."""
  num_sources = sum(len(members) for members in splits.values())
  # Small enough to share out evenly, large enough not to litter.
  part_size = min(8, math.ceil(num_sources / 64))
  parts: list[Part] = []
  for split, members in splits.items():
    for shard in range(num_shards):
      mine = members[shard::num_shards]
      # A shard without photographs still is a file: readers expect them all.
      for start in range(0, max(1, len(mine)), part_size):
        parts.append(
          Part(
            shard_path=layout.shard_path(split, shard, num_shards),
            name=f"{len(parts):08d}",
            sources=tuple(mine[start : start + part_size]),
          )
        )
  return parts


def _mine(
  config: MiningConfig,
  layout: Layout,
  splits: dict[str, list[Source]],
  staging: Path,
  make_pipeline: Callable[[], beam.Pipeline],
  on_progress: Callable[[int, int], None] | None,
) -> list[dict[str, Any]]:
  """Runs the Beam pipeline in an empty staging folder; returns the parts' reports."""
  shutil.rmtree(staging, ignore_errors=True)
  (staging / "parts").mkdir(parents=True)
  parts = plan(splits, layout, config.num_shards)
  with _progress(staging, parts, on_progress), make_pipeline() as pipeline:
    _ = (
      pipeline
      | "Parts" >> beam.Create(parts)
      | "MineParts" >> MineParts(config=config, staging_dir=str(staging))
    )
  paths = [staging / "parts" / f"{part.name}.json" for part in parts]
  missing = [path.stem for path in paths if not path.is_file()]
  if missing:
    raise RuntimeError(
      f"{len(missing)} of {len(parts)} parts left no report in {staging}: the workers "
      "must see this folder"
    )
  return [json.loads(path.read_text("utf-8")) for path in paths]


def _check_dead_share(
  config: MiningConfig, output: Path, letters: list[dict[str, str]], total: int
) -> None:
  share = len(letters) / total
  if share <= config.max_dead_share and len(letters) < total:
    return
  report = _report_beside(output)
  write_atomically(report, _lines(letters))
  reasons = _count(letter["reason"] for letter in letters)
  told = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
  raise RuntimeError(
    f"{len(letters)} of {total} files cannot be used ({told}), more than the allowed "
    f"share of {config.max_dead_share:g}; nothing was written but {report}, which "
    "names them: repair or remove them, or allow more"
  )


def _verify(staging: Path, reports: list[dict[str, Any]]) -> dict[str, int]:
  """Counts every shard's records again: {relative path: records}."""
  expected: collections.Counter = collections.Counter()
  for report in reports:
    expected[report["shard"]] += report["patches"]
  for path, count in expected.items():
    file = staging / path
    found = sum(1 for _ in read_records(file)) if file.is_file() else None
    if found != count:
      raise RuntimeError(
        f"{file} holds {found} patches instead of {count}: the Beam runner lost or "
        "doubled some; nothing was published"
      )
  return dict(expected)


def _publish(staging: Path, output: Path) -> None:
  replaced = staging.with_name(f"{staging.name}-replaced")
  if output.exists():
    os.rename(output, replaced)
  try:
    os.rename(staging, output)
  except OSError:
    if replaced.exists():
      os.rename(replaced, output)
    raise
  shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _progress(
  staging: Path, parts: list[Part], on_progress: Callable[[int, int], None] | None
) -> Iterator[None]:
  """Watches for the parts' reports: that works with any runner and any workers."""
  if on_progress is None:
    yield
    return
  sizes = {part.name: len(part.sources) for part in parts}
  stop = threading.Event()

  def look() -> None:
    done = sum(sizes.get(path.stem, 0) for path in (staging / "parts").glob("*.json"))
    on_progress(done, sum(sizes.values()))

  def watch() -> None:
    while not stop.wait(_POLL_SECONDS):
      look()

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  try:
    yield
    look()
  finally:
    stop.set()
    thread.join()


def _local_folder(output_dir: str | os.PathLike) -> Path:
  require(
    "://" not in str(output_dir),
    "an output folder on this machine or a mounted one",
    output=str(output_dir),
  )
  return Path(os.path.abspath(output_dir))


def _report_beside(output: Path) -> Path:
  return output.with_name(f"{output.name}.{DEAD_LETTERS}")


def _photographs(reports: list[dict[str, Any]], members: list[Source]) -> int:
  ids = {source.id for source in members}
  return sum(used in ids for report in reports for used in report["used"])


def _lines(letters: list[dict[str, str]]) -> str:
  return "".join(json.dumps(letter) + "\n" for letter in letters)


def _count(reasons: Any) -> dict[str, int]:
  return dict(sorted(collections.Counter(reasons).items()))
