"""What runs left in a pipeline's root, and what of it may go.

Only what runs made by themselves is looked at: outputs that the records know, TFX's own
folders beside them, checkpoints, logs. The model store, claims, locks and files that no
run made are never touched. Outputs that go are marked in the records, so that the next
run makes them anew.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.root_records import Records
from hardmine.pipelines.site import Site
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import is_url, join

if TYPE_CHECKING:
  from ml_metadata import MetadataStore

_LOG = re.compile(r".+-\d{8}-\d{6}-\d{6}\.log")
_SYSTEM = ".system"
AT_WORK_SECONDS = 86_400.0  # a node of another machine may be silent for so long


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remain:
  """A folder or file that runs left.

  Attributes:
    kind: `output`, `system` (TFX's own), `checkpoint` or `log`.
    place: path or URL.
    name: relative to the root, or to the folder of logs.
    seconds: since the last write in it; None where nothing tells.
    num_files: in it.
    num_bytes: of them.
    rank: of the newest run that used it, 1 for the newest of its pipeline; None where
      no run is known to.
    kept: why no rule takes it; empty where one may.
  """

  kind: str
  place: str
  name: str
  seconds: float | None
  num_files: int
  num_bytes: int
  rank: int | None = None
  kept: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
  """What is to go. Of outputs that both rules name, what both take.

  Attributes:
    older_seconds: outputs, and what else is named, that were not written for longer.
    keep_runs: outputs that none of so many newest runs of a pipeline used, at least 1.
    checkpoints: checkpoints too.
    logs: logs too.
  """

  older_seconds: float | None = None
  keep_runs: int | None = None
  checkpoints: bool = False
  logs: bool = False

  def takes(self, one: Remain) -> bool:
    """Whether something goes."""
    if one.kept:
      return False
    is_old = self.older_seconds is None or (
      one.seconds is not None and one.seconds > self.older_seconds
    )
    if one.kind == "checkpoint":
      return self.checkpoints and is_old
    if one.kind == "log":
      return self.logs and is_old
    if self.older_seconds is None and self.keep_runs is None:
      return False
    is_past = self.keep_runs is None or one.rank is None or one.rank > self.keep_runs
    return is_old and is_past


def is_root(place: str) -> bool:
  """Whether a place is a pipeline's root, by what lies in it."""
  found = set(folder(place).names())
  return "artifacts" in found and "manifest.json" not in found


def remains(site: Site, store: MetadataStore) -> list[Remain]:
  """What there is, the largest first.

  Args:
    site: whose root.
    store: its records.
  """
  sizes = _sizes(site.root)
  records = Records(store)
  found = [
    *_outputs(site, sizes, records),
    *_grouped(site.root, sizes, "checkpoint", re.compile(r"checkpoints/[^/]+/[^/]+")),
    *_logs(site),
  ]
  return sorted(found, key=lambda one: (-one.num_bytes, one.place))


def remove(site: Site, store: MetadataStore, some: Iterable[Remain]) -> list[Remain]:
  """Removes what `remains` gave; what could not be removed is given back.

  The root must be held.
  """
  some = list(some)
  # First: who finds half an output must not take it for one.
  Records(store).mark_deleted([one.name for one in some if one.kind == "output"])
  for one in some:
    if one.kind == "log":
      folder(site.logs_dir).remove(one.name)
    else:
      folder(site.root).remove_tree(one.name)
  root, logs = folder(site.root), folder(site.logs_dir)
  return [
    one
    for one in some
    if (logs.exists(one.name) if one.kind == "log" else bool(root.tree(one.name)))
  ]


def _outputs(site: Site, sizes: dict[str, Any], records: Records) -> Iterator[Remain]:
  pattern = re.compile(rf"artifacts/[^/]+/(?:{re.escape(_SYSTEM)}/)?[^/]+/\d+")
  for one in _grouped(site.root, sizes, "output", pattern):
    execution = int(one.name.rpartition("/")[2])
    is_system = f"/{_SYSTEM}/" in one.name
    kept = ""
    if execution not in records.executions:
      kept = "the records do not know it"
    elif execution in records.unfinished:
      if one.seconds is None or one.seconds < AT_WORK_SECONDS:
        kept = "a node may be at work in it"
    elif not is_system:
      kept = records.needed.get(one.name, "")
    rank = records.rank(execution, one.name)
    if not kept and rank == 1:
      kept = "the newest run used it"
    kind = "system" if is_system else "output"
    yield dataclasses.replace(one, kind=kind, rank=rank, kept=kept)


def _logs(site: Site) -> Iterator[Remain]:
  for name, (size, when) in _sizes(site.logs_dir).items():
    if _LOG.fullmatch(name):
      yield _remain("log", site.logs_dir, name, [(size, when)])


def _grouped(
  root: str, sizes: dict[str, Any], kind: str, pattern: re.Pattern[str]
) -> Iterator[Remain]:
  """The folders whose names begin so."""
  groups: dict[str, list[tuple[int, float | None]]] = {}
  for name, facts in sizes.items():
    found = pattern.match(name)
    if found and name[found.end() : found.end() + 1] == "/":
      groups.setdefault(found[0], []).append(facts)
  for name, files in groups.items():
    yield _remain(kind, root, name, files)


def _remain(
  kind: str, root: str, name: str, files: list[tuple[int, float | None]]
) -> Remain:
  times = [when for _, when in files if when is not None]
  return Remain(
    kind=kind,
    place=join(root, name),
    name=name,
    seconds=max(0.0, time.time() - max(times)) if times else None,
    num_files=len(files),
    num_bytes=sum(size for size, _ in files),
  )


def _sizes(root: str) -> dict[str, tuple[int, float | None]]:
  """(bytes, time of the last write) of all files of the parts that are looked at."""
  found: dict[str, tuple[int, float | None]] = {}
  if is_url(root):
    bucket = Bucket.at_url(root)
    for part in ("artifacts", "checkpoints"):
      for name, facts in bucket.facts(part).items():
        when = facts.modified.timestamp() if facts.modified else None
        found[f"{part}/{name}"] = facts.bytes, when
    return found
  for parent, folders, names in os.walk(root):
    if parent == root:  # never the store, nor what people keep beside
      folders[:] = [n for n in folders if n in ("artifacts", "checkpoints")]
    for name in names:
      path = os.path.join(parent, name)
      try:
        facts = os.lstat(path)
      except OSError:
        continue
      found[os.path.relpath(path, root)] = facts.st_size, facts.st_mtime
  return found
