"""Who is at a piece of work: one process at a time, wherever the others are.

A claim lies where the records lie. Beside a SQLite file, which is of one machine, it is
a file's lock; of a database that machines share, a lock of the server. The system, or
the server, lets go of either when its process dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator

from hardmine.pipelines.metadata_store import Database, is_database
from hardmine.pipelines.site import Site

WAIT_SECONDS = 24 * 3600.0  # for another process that is at the same work
_QUIET_SECONDS = 1.0  # of waiting that nobody needs to know of
_POLL_SECONDS = 0.2
_SERVER_SECONDS = (0, 1, 5)  # of a question to the server, in which signals may wait
_FOLDER = "claims"


@contextlib.contextmanager
def claim(
  site: Site,
  work: str,
  *,
  what: str,
  say: Callable[[str], None],
  wait_seconds: float = WAIT_SECONDS,
) -> Iterator[None]:
  """Waits until nobody else is at a piece of work, and holds it until the end.

  Args:
    site: whose root the work belongs to.
    work: names it among all work of the root.
    what: the same for people, as in `Trainer of run 7`.
    say: told once when somebody else is at it.
    wait_seconds: the longest wait.

  Raises:
    RuntimeError: somebody else is at it still, or the database cannot be reached.
  """
  is_shared = is_database(site.metadata_place)
  # A file lies in the root, which may have several names.
  whose = site.root if is_shared else ""
  key = hashlib.sha256(f"{whose}\n{work}".encode("utf-8", "replace")).hexdigest()
  holder = _database_lock if is_shared else _file_lock
  with holder(site, key[:40]) as try_once:
    start = time.monotonic()
    told = False
    while not try_once():
      waited = time.monotonic() - start
      if not told and waited > _QUIET_SECONDS:
        say(f"another process is at {what}; waiting for it")
        told = True
      if waited > wait_seconds:
        raise RuntimeError(
          f"another process has been at {what} for {wait_seconds:.0f} s: see that it "
          "goes on, or end it"
        )
    yield


@contextlib.contextmanager
def _file_lock(site: Site, key: str) -> Iterator[Callable[[], bool]]:
  folder = os.path.join(site.local_dir, _FOLDER)
  os.makedirs(folder, exist_ok=True)
  # It stays, empty: another process may wait for this very file.
  with open(os.path.join(folder, key), "a", encoding="utf-8") as file:
    is_first = True

    def try_once() -> bool:
      nonlocal is_first
      if not is_first:
        time.sleep(_POLL_SECONDS)
      is_first = False
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        return False
      return True

    yield try_once


@contextlib.contextmanager
def _database_lock(site: Site, key: str) -> Iterator[Callable[[], bool]]:
  import pymysql

  database = Database.parse(site.metadata_place or "")
  name = f"hardmine.{key}"
  with contextlib.closing(database.connect()) as connection:
    seconds = iter(_SERVER_SECONDS)

    def try_once() -> bool:
      with _told(database), connection.cursor() as cursor:
        wait = next(seconds, _SERVER_SECONDS[-1])
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, wait))
        (granted,) = cursor.fetchone() or (None,)
      return granted == 1

    yield try_once
    with contextlib.suppress(pymysql.MySQLError), connection.cursor() as cursor:
      cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))


@contextlib.contextmanager
def _told(database: Database) -> Iterator[None]:
  import pymysql

  try:
    yield
  except pymysql.MySQLError as error:
    said = error.args[-1] if error.args else error
    raise RuntimeError(f"the database {database} does not answer ({said})") from error
