"""A set in a bucket: objects have no rename, so the manifest tells which of them count.

    manifest.json                     names the files of the set
    made-20261124T101500-1f2e3d4c/    the files of one job
      job.json                        while it runs: whose, anew every half minute
      scratch/                        what only the job's workers need

A folder `made-*` that the manifest does not name was left by a job that was killed, or
belongs to one that runs: `left_behind` tells them apart by the age of `job.json`, and
the next job removes the former.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import getpass
import json
import os
import platform
import threading
import uuid
from types import TracebackType
from typing import Any

from hardmine.schemas.bucket import Bucket
from hardmine.schemas.config import require
from hardmine.schemas.folders import BucketFolder
from hardmine.schemas.manifest import MANIFEST_NAME, SCRATCH, Files, make_manifest

_MADE = "made-"
_JOB = "job.json"
_BEAT_SECONDS = 30.0
_STALE_SECONDS = 900.0  # without a beat


class BucketSet:
  """See `output_sets.OutputSet`, and the top of this module."""

  def __init__(self, output: str, *, kind: str, overwrite: bool, plain: bool):
    self.output = output
    self._kind, self._plain = kind, plain
    self._bucket = Bucket.at_url(output)
    self._before = _read(self._bucket)
    self._refuse(overwrite and not plain)
    self.replaces = self._before is not None
    self._name = f"{_MADE}{_now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    self._place = BucketFolder(output)
    made = self._place.below(self._name)
    self.shards = self._place if plain else made
    self.scratch = made.below(SCRATCH)
    self._text: bytes | None = None
    self._done = threading.Event()

  def __enter__(self) -> BucketSet:
    self._beat()
    remove_left_behind(self.output)
    self._beating = threading.Thread(target=self._keep_beating, daemon=True)
    self._beating.start()
    return self

  def commit(self, files: Files, **facts: Any) -> dict[str, Any]:
    before = "" if self._plain else f"{self._name}/"
    files = {f"{before}{name}": said for name, said in files.items()}
    manifest, self._text = make_manifest(files, kind=self._kind, **facts)
    return manifest

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    self._done.set()
    self._beating.join()
    try:
      if kind is None and self._text is not None:
        self.scratch.remove_tree()
        self._publish(self._text)
        return
    except BaseException:
      self._bucket.remove(f"{self._name}/{_JOB}")
      raise
    self._clear()

  def _refuse(self, overwrite: bool) -> None:
    """Raises ValueError where something lies that may not be replaced."""
    found = {name.partition("/")[0] for name in self._bucket.tree("")}
    foreign = sorted(name for name in found if not name.startswith(_MADE))
    if self._before is None:
      require(
        not foreign, "a prefix without objects", output=self.output, has=foreign[:3]
      )
      return
    require(overwrite, "a prefix without objects (or --overwrite)", output=self.output)
    known = _is_set(self._before, self._kind) and foreign == [MANIFEST_NAME]
    require(
      known,
      f"a prefix that is new, empty, or holds {self._kind} made before and nothing "
      "else",
      output=self.output,
      has=foreign[:3],
    )

  def _publish(self, text: bytes) -> None:
    if self._before is None:
      ours = self._bucket.create_file(MANIFEST_NAME, text)
    else:
      ours = _read(self._bucket) == self._before
      if ours:
        self._bucket.write(MANIFEST_NAME, text)
    if not ours:
      told = "and was left as it is"
      if not self._plain:
        self._bucket.write(f"{self._name}/{MANIFEST_NAME}", self._own_manifest(text))
        told += f": what was made lies in {self.output}/{self._name}"
      raise RuntimeError(f"{self.output} has changed since the start, {told}")
    self._bucket.remove(f"{self._name}/{_JOB}")
    if self._before is not None:
      self._bucket.remove_all(json.loads(self._before)["files"])

  def _own_manifest(self, text: bytes) -> bytes:
    """Of the folder that was made, as a set by itself."""
    manifest = json.loads(text)
    start = len(self._name) + 1
    files = {name[start:]: facts for name, facts in manifest.pop("files").items()}
    return make_manifest(files, **manifest)[1]

  def _clear(self) -> None:
    """Removes what was made; the prefix was empty before."""
    self._place.remove_tree(self._name)
    if self._plain:
      self._place.remove_tree()

  def _beat(self) -> None:
    who = {"host": platform.node(), "pid": os.getpid(), "user": _user()}
    self._bucket.write(f"{self._name}/{_JOB}", json.dumps(who).encode())

  def _keep_beating(self) -> None:
    while not self._done.wait(_BEAT_SECONDS):
      with contextlib.suppress(Exception):  # the job itself will tell of it
        self._beat()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftBehind:
  """A folder below an output in a bucket that its manifest does not name.

  Attributes:
    name: of the folder.
    who: of the job that made it, as far as it is told.
    seconds: since it was last at work; None where nothing tells.
    is_set: it holds a whole set, which could not be published.
  """

  name: str
  who: str
  seconds: float | None
  is_set: bool

  @property
  def is_stale(self) -> bool:
    """Whether its job is gone; a set is never stale."""
    return not self.is_set and (self.seconds is None or self.seconds > _STALE_SECONDS)


def left_behind(output: str) -> list[LeftBehind]:
  """What jobs that were killed, or still run, have below an output in a bucket."""
  bucket = Bucket.at_url(output)
  manifest = _read(bucket)
  files = json.loads(manifest)["files"] if manifest and _is_set(manifest, None) else []
  named = {path.partition("/")[0] for path in files}
  found = []
  for name in sorted(bucket.names("")):
    if name.startswith(_MADE) and name not in named:
      who, seconds = _whose(bucket, name)
      whole = bucket.exists(f"{name}/{MANIFEST_NAME}")
      found.append(LeftBehind(name=name, who=who, seconds=seconds, is_set=whole))
  return found


def remove_left_behind(output: str) -> list[str]:
  """Removes what killed jobs left below an output in a bucket, and says which."""
  gone = [left.name for left in left_behind(output) if left.is_stale]
  for name in gone:
    BucketFolder(output).remove_tree(name)
  return gone


def _whose(bucket: Bucket, name: str) -> tuple[str, float | None]:
  """(who is at work in a folder, seconds since its last beat)."""
  try:
    told = json.loads(bucket.read(f"{name}/{_JOB}"))
    last = bucket.modified(f"{name}/{_JOB}")
  except (FileNotFoundError, ValueError):
    return "unknown", _age_by_name(name)
  who = f"process {told.get('pid')} of {told.get('user')} on {told.get('host')}"
  return who, (_now() - last).total_seconds()


def _age_by_name(name: str) -> float | None:
  """Seconds since a folder was named: there is no `job.json` for an instant."""
  try:
    made = datetime.datetime.strptime(name[len(_MADE) :][:15], "%Y%m%dT%H%M%S")
  except ValueError:
    return None
  return (_now() - made.replace(tzinfo=datetime.timezone.utc)).total_seconds()


def _read(bucket: Bucket) -> bytes | None:
  try:
    return bucket.read(MANIFEST_NAME)
  except FileNotFoundError:
    return None


def _is_set(manifest: bytes | None, kind: str | None) -> bool:
  """Whether a manifest is one of ours, of a kind if that is given."""
  try:
    found = json.loads(manifest or b"")
    return isinstance(found["files"], dict) and kind in (None, found.get("kind"))
  except (ValueError, KeyError, TypeError):
    return False


def _user() -> str:
  try:
    return getpass.getuser()
  except (OSError, KeyError):  # no such user in the machine's list
    return "unknown"


def _now() -> datetime.datetime:
  return datetime.datetime.now(datetime.timezone.utc)
