"""What jobs have in a bucket beside the set that its manifest names.

    made-20261124t101500-1f2e3d4c/    the folder of one job
      job.json                        whose; overwritten by whoever collects it
      alive                           written anew every half minute
      replaced.json                   of a set that is being replaced: by whom

Whether a job is gone is seen in the list of processes where it ran on this machine, and
anywhere else told by the last write in its folder, by the store's clock. A job that was
taken for gone and goes on finds at the end that its `job.json` is another's. Folders
that are not called so, and ones that hold none of these files, are not ours to remove.

Workers of a cluster may write after their caller has given up, or after the set was
published: what lies in `scratch/` then goes like the rest. So the note of a job whose
workers may live stays where the job has failed.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from hardmine.schemas import processes
from hardmine.schemas.bucket import Bucket, ObjectFacts
from hardmine.schemas.categories import CATEGORIES_NAME
from hardmine.schemas.manifest import MANIFEST_NAME, SCRATCH

JOB = "job.json"
ALIVE = "alive"
REPLACED = "replaced.json"
STALE_SECONDS = 900.0  # without a write
_OURS = (JOB, ALIVE, REPLACED)
_FOLDER = re.compile(r"made-\d{8}t\d{6}-[0-9a-f]{8}")
# The files of a set whose names do not tell of the job that made them.
_PLAIN = re.compile(
  r"Split-[^/]+/data_tfrecord-\d+-of-\d+\.gz|dead_letters\.jsonl|"
  + re.escape(CATEGORIES_NAME)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leftover:
  """What one job has, or had, at an output.

  Attributes:
    place: path or URL.
    who: of the process, as far as it is told.
    state: `left` is nobody's any more; `at_work` may be somebody's; `set` is whole but
      could not be published; `aside` is the set of before, to be put back; `unknown`
      may be a set whose manifest is gone. The last three are never removed.
    seconds: since the last write in it; None where nothing tells.
    num_files: in it.
    num_bytes: of them.
  """

  place: str
  who: str
  state: str
  seconds: float | None
  num_files: int
  num_bytes: int


def new_name() -> str:
  """Of a job's folder."""
  now = datetime.datetime.now(datetime.timezone.utc)
  return f"made-{now:%Y%m%dt%H%M%S}-{uuid.uuid4().hex[:8]}"


def is_folder(name: str) -> bool:
  """Whether a name is one of a job's folder."""
  return _FOLDER.fullmatch(name) is not None


def is_note(path: str) -> bool:
  """Whether an object below an output is one by which jobs know each other."""
  folder, _, name = path.partition("/")
  return is_folder(folder) and name in _OURS


def plain_files(bucket: Bucket) -> dict[str, ObjectFacts]:
  """What a plain set's job may have made outside its folder."""
  return {n: facts for n, facts in bucket.facts("").items() if _PLAIN.fullmatch(n)}


def manifest_text(bucket: Bucket) -> bytes | None:
  """The manifest of an output, None without one."""
  try:
    return bucket.read(MANIFEST_NAME)
  except FileNotFoundError:
    return None


def files_of(manifest: bytes | None) -> Mapping[str, Any] | None:
  """The files that a manifest names; None for what is no manifest of ours."""
  try:
    files = json.loads(manifest or b"")["files"]
  except (ValueError, KeyError, TypeError):
    return None
  return files if isinstance(files, dict) else None


def leftovers(
  bucket: Bucket, url: str, now: datetime.datetime | None
) -> list[Leftover]:
  """What there is at an output, in order of its name.

  Args:
    bucket: the output.
    url: of the output.
    now: by the store's clock; None asks this machine's.

  Raises:
    RuntimeError: what is called a manifest there is none, so nothing can be told.
  """
  return [one.leftover(url) for one in _found(bucket, now)]


def collect(bucket: Bucket, url: str, now: datetime.datetime) -> list[Leftover]:
  """Removes what is nobody's any more, and says what that was.

  Raises:
    RuntimeError: as `leftovers`; nothing is removed.
  """
  gone = [one for one in _found(bucket, now) if one.state == "left"]
  return [one.leftover(url) for one in gone if _remove(bucket, one)]


def store_time(bucket: Bucket) -> datetime.datetime:
  """Now, by the clock of the store: it is told by a file, which goes again."""
  name = f"{new_name()}/{JOB}"
  bucket.write(name, json.dumps(processes.this_process()).encode())
  try:
    return bucket.modified(name)
  finally:
    bucket.remove(name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Folder:
  """A job's folder; `files` are those that the manifest does not name."""

  name: str
  files: Mapping[str, ObjectFacts]
  who: Mapping[str, Any]
  is_published: bool
  seconds: float | None

  @property
  def state(self) -> str:
    if MANIFEST_NAME in self.files and not self.is_published:
      return "set"
    if not any(map(_is_a_jobs, self.files)):
      return "unknown"
    lives = None if self.who.get("outlived") else processes.lives(self.who)
    if lives is None:
      lives = self.seconds is None or self.seconds <= STALE_SECONDS
    return "at_work" if lives else "left"

  def leftover(self, url: str) -> Leftover:
    return Leftover(
      place=f"{url}/{self.name}",
      who=processes.in_words(self.who),
      state=self.state,
      seconds=self.seconds,
      num_files=len(self.files),
      num_bytes=sum(facts.bytes for facts in self.files.values()),
    )


def _is_a_jobs(name: str) -> bool:
  """Whether a file of a job's folder is certainly none of a set, nor a user's."""
  return name in _OURS or name.startswith(f"{SCRATCH}/")


def _found(bucket: Bucket, now: datetime.datetime | None) -> list[_Folder]:
  text = manifest_text(bucket)
  named = files_of(text)
  if text is not None and named is None:
    raise RuntimeError(
      f"{MANIFEST_NAME} is damaged or no manifest of a set, so what belongs to it "
      "cannot be told: repair or remove it"
    )
  now = now or datetime.datetime.now(datetime.timezone.utc)
  found = []
  for name in sorted(filter(is_folder, bucket.names(""))):
    files = bucket.facts(name)
    published = any(path.startswith(f"{name}/") for path in named or ())
    if published:
      assert named is not None
      files = {
        n: facts
        for n, facts in files.items()
        if _is_a_jobs(n) and f"{name}/{n}" not in named
      }
    if files:
      found.append(_folder(bucket, name, files, published, now))
  if text is None and not any(one.state == "at_work" for one in found):
    found = [_with_plain(bucket, one) for one in found]
  return found


def _folder(
  bucket: Bucket,
  name: str,
  files: Mapping[str, ObjectFacts],
  is_published: bool,
  now: datetime.datetime,
) -> _Folder:
  times = [facts.modified for facts in files.values() if facts.modified is not None]
  return _Folder(
    name=name,
    files=files,
    # Who replaces a set has the last word on its folder.
    who=_told(bucket, name, REPLACED) or _told(bucket, name, JOB),
    is_published=is_published,
    seconds=(now - max(times)).total_seconds() if times else None,
  )


def _told(bucket: Bucket, folder: str, note: str) -> dict[str, Any]:
  try:
    told = json.loads(bucket.read(f"{folder}/{note}"))
  except (FileNotFoundError, ValueError):
    return {}
  return told if isinstance(told, dict) else {}


def _with_plain(bucket: Bucket, one: _Folder) -> _Folder:
  """With the files that the job of a plain set left outside its folder."""
  if one.state != "left" or not one.who.get("plain"):
    return one
  outside = {f"../{name}": facts for name, facts in plain_files(bucket).items()}
  return dataclasses.replace(one, files={**one.files, **outside})


def _remove(bucket: Bucket, one: _Folder) -> bool:
  """Removes a folder that is nobody's. Returns whether it was."""
  note = f"{one.name}/{JOB}"
  if one.is_published:
    bucket.remove_all(f"{one.name}/{name}" for name in one.files)
    return True
  # Its job, should it go on after all, finds this and does not publish; or it was
  # quicker, and then the manifest names its folder.
  plain = {"plain": True} if one.who.get("plain") else {}
  bucket.write(note, json.dumps({**processes.this_process(), **plain}).encode())
  named = files_of(manifest_text(bucket)) or {}
  if any(path.startswith(f"{one.name}/") for path in named):
    bucket.remove(note)
    return False
  outside = [name[3:] for name in one.files if name.startswith("../")]
  inside = (f"{one.name}/{name}" for name in bucket.tree(one.name))
  # The note goes last: without it, the rest would not be ours to remove.
  bucket.remove_all([*outside, *(name for name in inside if name != note)])
  bucket.remove(note)
  return True
