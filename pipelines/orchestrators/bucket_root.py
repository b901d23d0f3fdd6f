"""What a run holds of a root in a bucket: a lock, and a copy of its records.

    ROOT/lock.json         whose the run is; written anew every half minute
    ROOT/metadata.sqlite   a copy of ML Metadata's file, as of the last node that ended

The store creates `lock.json` only where there is none, so of two machines one gets it.
A lock that was not written for 15 minutes, and is not while one watches, or that an
earlier process of this machine left, is taken over; the run that lost it, should it
live after all, stops when its node ends. Two runs that take over the same lock in the
same second are told apart then, not before.

The copy lets another machine go on: a run starts with whichever records, this machine's
or the bucket's, know more.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import platform
import shutil
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from hardmine.pipelines.metadata_file import last_execution
from hardmine.pipelines.site import Site
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.files import write_atomically
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import is_url

LOCK = "lock.json"
RECORDS = "metadata.sqlite"
BEAT_SECONDS = 30.0
STALE_SECONDS = 900.0
_NUM_BEATS_WATCHED = 3  # before a stale lock is taken over
_MAX_ATTEMPTS = 5  # at a lock that others take and leave
_OWNER = "owner"  # the file that tells this machine's state folder from all others


@contextlib.contextmanager
def held_bucket(site: Site) -> Iterator[HeldBucket | None]:
  """Makes a root in a bucket ours until the end, with its records on this machine.

  Args:
    site: whose lock of this machine is held already.

  Yields:
    None where the root is a folder, which needs none of this.

  Raises:
    ValueError: there is no such bucket, or nothing installed can reach it.
    RuntimeError: another run holds the root, or the bucket refuses us.
  """
  if not is_url(site.root):
    yield None
    return
  with _told(site.root):
    held = HeldBucket(site)
    held.take()
  try:
    if site.has_own_records:
      held.fetch_records()
    yield held
    held.node_ended()  # here, a copy that cannot be made is an error
  except BaseException:
    with contextlib.suppress(Exception):
      held.node_ended()
    raise
  finally:
    held.release()


class HeldBucket:
  """The lock of a root in a bucket, and the copy of its records."""

  def __init__(self, site: Site):
    self._site = site
    self._bucket = Bucket.at_url(site.root)
    self._owner = _owner(site.local_dir)
    self._token = uuid.uuid4().hex
    self._over = threading.Event()
    self._beating = threading.Thread(target=self._beat, daemon=True)
    self.is_lost = False

  def take(self) -> None:
    """Creates the lock, or takes over a stale one."""
    for _ in range(_MAX_ATTEMPTS):
      if self._bucket.create_file(LOCK, self._content()):
        self._beating.start()
        return
      found = self._found()
      if found is None:
        continue
      if not self._is_free(found):
        process = "process {pid} of {user} on {host} since {since}".format_map(found)
        raise RuntimeError(
          f"another run holds {self._site.root} ({process}); wait for it, stop it, or "
          "choose another --root. One that was killed holds it for "
          f"{STALE_SECONDS / 60:.0f} minutes; sooner, remove {self._site.root}/{LOCK}"
        )
      self._bucket.remove(LOCK)
    raise RuntimeError(f"{self._site.root}/{LOCK} changes all the time; try again")

  def release(self) -> None:
    """Removes the lock, if it is ours still."""
    self._over.set()
    self._beating.join()
    with contextlib.suppress(Exception):  # it grows stale by itself
      if self._is_ours(self._found()):
        self._bucket.remove(LOCK)

  def node_ended(self) -> None:
    """Copies the records into the bucket.

    Raises:
      RuntimeError: another run has taken the root; nothing of its own is touched.
    """
    if self.is_lost:
      raise RuntimeError(
        f"another run took {self._site.root}: this one did not write its lock for "
        f"{STALE_SECONDS / 60:.0f} minutes, and stops"
      )
    source = self._site.metadata_path
    if not self._site.has_own_records or not os.path.exists(source):
      return
    with tempfile.TemporaryDirectory(prefix="hardmine-") as place:
      copy = os.path.join(place, RECORDS)
      with (
        contextlib.closing(sqlite3.connect(source)) as of,
        contextlib.closing(sqlite3.connect(copy)) as into,
      ):
        of.backup(into)
      self._bucket.upload(Path(copy), RECORDS)

  def fetch_records(self) -> None:
    """Takes the bucket's copy where it knows more than this machine's file.

    That then is kept under another name.
    """
    here = Path(self._site.metadata_path)
    places = folder(self._site.root)
    if not places.exists(RECORDS):
      return
    with places.local_copy(RECORDS) as copy:
      if (_known(copy) or 0) <= (_known(here) or 0):
        return
      if here.exists():
        os.replace(here, f"{here}.before")
      here.parent.mkdir(parents=True, exist_ok=True)
      shutil.move(copy, here)

  def _beat(self) -> None:
    while not self._over.wait(BEAT_SECONDS):
      with contextlib.suppress(Exception):  # what is wrong is seen by the run itself
        if not self._is_ours(self._found()):
          self.is_lost = True
          return
        self._bucket.write(LOCK, self._content())

  def _content(self) -> bytes:
    who = {
      "host": platform.node(),
      "user": _user(),
      "pid": os.getpid(),
      "since": f"{_now():%Y-%m-%d %H:%M:%S} UTC",
      "owner": self._owner,
      "token": self._token,
    }
    return json.dumps(who, indent=2).encode()

  def _found(self) -> dict[str, str] | None:
    """What the lock says, as far as it can be read; None without a lock."""
    unknown: dict[str, str] = dict.fromkeys(["pid", "user", "host", "since"], "unknown")
    try:
      return {**unknown, **json.loads(self._bucket.read(LOCK))}
    except FileNotFoundError:
      return None
    except (ValueError, TypeError):
      return unknown

  def _is_ours(self, found: dict[str, str] | None) -> bool:
    return found is not None and found.get("token") == self._token

  def _is_free(self, found: dict[str, str]) -> bool:
    """Whether a lock is of a process that is gone: of ours, for we hold the file's."""
    if found.get("owner") == self._owner:
      return True
    written = self._bucket.modified(LOCK)
    if (_now() - written).total_seconds() <= STALE_SECONDS:
      return False
    # Clocks jump and differ: that nobody writes it is seen, not reckoned.
    time.sleep(_NUM_BEATS_WATCHED * BEAT_SECONDS)
    with contextlib.suppress(FileNotFoundError):
      return self._bucket.modified(LOCK) == written
    return True


def _known(path: Path) -> int | None:
  """The last execution that records know of; None where they are damaged or absent."""
  try:
    return last_execution(str(path)) if path.exists() else None
  except sqlite3.DatabaseError:
    return None


@contextlib.contextmanager
def _told(root: str) -> Iterator[None]:
  """Says in a line why a bucket cannot be used at all."""
  try:
    yield
  except FileNotFoundError as error:
    bucket = "/".join(root.split("/")[:3])
    raise ValueError(
      f"Expected a bucket that exists: make {bucket}, or look at the name ({error}). "
      f"Received: root={root!r}"
    ) from error
  except PermissionError as error:
    raise RuntimeError(
      f"{root} refuses these credentials ({error}): they must allow to list, read, "
      "write and remove objects there"
    ) from error


def _owner(local_dir: str) -> str:
  """What tells this machine's folder of the root from that of every other machine."""
  path = Path(local_dir, _OWNER)
  if not path.exists():
    write_atomically(path, uuid.uuid4().hex)
  return path.read_text("utf-8")


def _user() -> str:
  try:
    return getpass.getuser()
  except (OSError, KeyError):  # no such user in the machine's list
    return "unknown"


def _now() -> datetime.datetime:
  return datetime.datetime.now(datetime.timezone.utc)
