"""A set in a bucket: objects have no rename, so the manifest tells which of them count.

    manifest.json                     names the files of the set
    made-20261124t101500-1f2e3d4c/    the files of one job
      scratch/                        what only the job's workers need

The notes by which jobs know each other, and what becomes of a killed one's folder, are
told in `bucket_leftovers`. Publishing looks at everything anew: a job that slept may
have been taken for dead.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from types import TracebackType
from typing import Any

from hardmine.schemas import processes
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.bucket_leftovers import (
  ALIVE,
  JOB,
  REPLACED,
  collect,
  files_of,
  is_folder,
  is_note,
  manifest_text,
  new_name,
  plain_files,
)
from hardmine.schemas.config import require
from hardmine.schemas.folders import BucketFolder
from hardmine.schemas.manifest import MANIFEST_NAME, SCRATCH, Files, make_manifest

_BEAT_SECONDS = 30.0


class BucketSet:
  """See `output_sets.OutputSet`, and the top of this module."""

  def __init__(self, output: str, *, kind: str, overwrite: bool, plain: bool):
    self.output = output
    self._kind, self._plain = kind, plain
    self._bucket = Bucket.at_url(output)
    self._before = manifest_text(self._bucket)
    self._refuse(overwrite and not plain)
    self.replaces = self._before is not None
    self._place = BucketFolder(output)
    self._take(new_name())
    self._text: bytes | None = None
    self._is_apart = False
    who = {**processes.this_process(), "plain": plain, "token": uuid.uuid4().hex}
    self._who = json.dumps(who).encode()
    self._done = threading.Event()
    self._beating = threading.Thread(target=self._keep_beating, daemon=True)

  @property
  def name(self) -> str:
    """Of the folder in which this job works, and no other."""
    return self._name

  def adopt(self, name: str) -> None:
    """Goes on in the folder of an earlier job, whose workers did our work.

    Whoever began that job and still lives cannot publish it any more.
    """
    self._bucket.write(f"{name}/{JOB}", self._who)  # which its own caller will find
    self._place.remove_tree(self._name)
    self._take(name)

  def outlived(self) -> None:
    """Notes that workers may go on after this process is gone."""
    self._who = json.dumps({**json.loads(self._who), "outlived": True}).encode()
    self._bucket.write(f"{self._name}/{JOB}", self._who)

  def _take(self, name: str) -> None:
    self._name = name
    made = self._place.below(name)
    self.shards = self._place if self._plain else made
    self.scratch = made.below(SCRATCH)

  def __enter__(self) -> BucketSet:
    note = f"{self._name}/{JOB}"
    try:
      self._bucket.write(note, self._who)
      collect(self._bucket, self.output, self._bucket.modified(note))
    except BaseException:
      with contextlib.suppress(Exception):
        self._bucket.remove(note)
      raise
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
    if kind is not None or self._text is None:
      outlived = bool(json.loads(self._who).get("outlived"))
      refused = kind is None or issubclass(kind, ValueError)  # by workers that ended
      self._clear(keep_note=outlived and not refused)
      return
    try:
      self._publish(self._text)
    except BaseException:
      with contextlib.suppress(Exception):  # what is wrong has been told
        if not self._is_apart and manifest_text(self._bucket) != self._text:
          self._clear()
      raise

  def _refuse(self, overwrite: bool) -> None:
    """Raises ValueError where something lies that may not be replaced."""
    files = files_of(self._before) or {}
    folders = {name.partition("/")[0] for name in files}
    foreign = sorted(
      name
      for name in self._bucket.tree("")
      if not is_folder(top := name.partition("/")[0])
      or (top in folders and name not in files and not is_note(name))
    )
    if self._before is None:
      require(
        not foreign, "a prefix without objects", output=self.output, has=foreign[:3]
      )
      return
    require(overwrite, "a prefix without objects (or --overwrite)", output=self.output)
    known = (
      bool(files)
      and json.loads(self._before).get("kind") == self._kind
      and foreign == [MANIFEST_NAME]
      and all(map(is_folder, folders))
    )
    require(
      known,
      f"a prefix that is new, empty, or holds {self._kind} made before and nothing "
      "else",
      output=self.output,
      has=[name for name in foreign if name != MANIFEST_NAME][:3] or foreign,
    )

  def _publish(self, text: bytes) -> None:
    self.scratch.remove_tree()
    self._check_made(text)
    claims = self._claims()
    if self._before is None:
      is_ours = self._bucket.create_file(MANIFEST_NAME, text)
    else:
      is_ours = all(self._bucket.create_file(claim, self._who) for claim in claims)
      is_ours = is_ours and manifest_text(self._bucket) == self._before
      if is_ours:
        self._bucket.write(MANIFEST_NAME, text)
    if not is_ours:
      self._refused(text, claims)
    if not self._is_known():
      self._withdraw()
      raise RuntimeError(self._collected())
    if self._before is not None:
      old = files_of(self._before) or {}
      self._bucket.remove_all(name for name in old if ".." not in name.split("/"))
      folders = {name.partition("/")[0] for name in old}
      self._bucket.remove_all(
        f"{old}/{note}" for old in folders for note in (ALIVE, JOB)
      )
      self._bucket.remove_all(claims)
    self._remove_notes()

  def _check_made(self, text: bytes) -> None:
    """Raises RuntimeError where somebody has removed what was made."""
    found = self._bucket.facts("")
    files = files_of(text) or {}
    whole = all(
      name in found and found[name].bytes == said["bytes"]
      for name, said in files.items()
    )
    if not whole or not self._is_known():
      raise RuntimeError(self._collected())

  def _collected(self) -> str:
    return (
      f"{self.output}/{self._name} was removed by another job or `hardmine clean`, "
      "which took this one for dead: did it stand still for a quarter of an hour? "
      "Nothing was published; run it again"
    )

  def _is_known(self) -> bool:
    """Whether nobody has taken this job for dead."""
    try:
      return self._bucket.read(f"{self._name}/{JOB}") == self._who
    except FileNotFoundError:
      return False

  def _claims(self) -> list[str]:
    """Notes in the folders of the set that is replaced, of which there is one."""
    files = files_of(self._before) or {}
    return [f"{name}/{REPLACED}" for name in sorted({n.split("/")[0] for n in files})]

  def _refused(self, text: bytes, claims: list[str]) -> None:
    """Keeps what was made, and raises RuntimeError."""
    told = "and was left as it is"
    for claim in claims:
      self._bucket.remove_if(claim, self._who)
    if not self._plain:
      self._bucket.write(f"{self._name}/{MANIFEST_NAME}", self._own_manifest(text))
      self._is_apart = True
      self._remove_notes()
      told += f": what was made lies in {self.output}/{self._name}"
    raise RuntimeError(f"{self.output} has changed since the start, {told}")

  def _withdraw(self) -> None:
    """Takes back a manifest whose files somebody is about to remove."""
    if manifest_text(self._bucket) != self._text:
      return
    if self._before is None:
      self._bucket.remove(MANIFEST_NAME)
    else:
      self._bucket.write(MANIFEST_NAME, self._before)
    for claim in self._claims():
      self._bucket.remove_if(claim, self._who)

  def _own_manifest(self, text: bytes) -> bytes:
    """Of the folder that was made, as a set by itself."""
    manifest = json.loads(text)
    start = len(self._name) + 1
    files = {name[start:]: facts for name, facts in manifest.pop("files").items()}
    return make_manifest(files, **manifest)[1]

  def _clear(self, keep_note: bool = False) -> None:
    """Removes what was made, its note last: without that it would be nobody's.

    Args:
      keep_note: workers that go on may write more, which would be nobody's.
    """
    notes = (f"{self._name}/{JOB}", f"{self._name}/{ALIVE}")
    made = {f"{self._name}/{name}" for name in self._bucket.tree(self._name)}
    if self._plain and manifest_text(self._bucket) is None:  # or they are a set's
      made.update(plain_files(self._bucket))
    self._bucket.remove_all(made.difference(notes))
    for claim in self._claims():
      self._bucket.remove_if(claim, self._who)
    if not keep_note:
      self._remove_notes()

  def _remove_notes(self) -> None:
    self._bucket.remove(f"{self._name}/{ALIVE}")
    self._bucket.remove(f"{self._name}/{JOB}")

  def _keep_beating(self) -> None:
    while not self._done.wait(_BEAT_SECONDS):
      with contextlib.suppress(Exception):  # the job itself will tell of it
        if self._is_known():
          self._bucket.write(f"{self._name}/{ALIVE}", b"")
