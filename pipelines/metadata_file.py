"""Whether a root's metadata.sqlite is whole and knows the outputs of the root.

Looked at with Python's own SQLite, before TFX is imported: what ML Metadata says of a
damaged file names neither the file nor a remedy.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3

from hardmine.pipelines.site import Site
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import is_url

_BUSY_SECONDS = 60.0  # for others that write


def check_metadata(site: Site) -> None:
  """Looks at metadata.sqlite and at the names of the folders in ROOT/artifacts.

  Raises:
    RuntimeError: it is damaged, cannot be written, or is gone or older than the
      outputs, so that new ones would get the names of folders that are there.
  """
  # In this order: a node that runs meanwhile is recorded before its folders are there.
  newest = max(_executions_in(site.artifacts_dir), default=0)
  known = 0
  if os.path.lexists(site.metadata_path):
    try:
      known = last_execution(site.metadata_path)
    except sqlite3.DatabaseError as error:
      raise RuntimeError(
        f"{site.metadata_path} is damaged ({error}): put a copy of it back, or "
        f"{_start_anew(site)}"
      ) from error
  if newest <= known:
    return
  state = "is older than they are" if known else "is not there or holds nothing"
  raise RuntimeError(
    f"{site.artifacts_dir} holds outputs of earlier runs, but {site.metadata_path}, "
    f"which knows what they are, {state}: put it back, or {_start_anew(site)}"
  )


def last_execution(path: str) -> int:
  """The highest id that was given; 0 in a file that no run has used.

  Args:
    path: of a metadata.sqlite.

  Raises:
    sqlite3.DatabaseError: the file is damaged.
    RuntimeError: it cannot be written.
  """
  try:
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as database:
      (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
      if answer != "ok":
        raise sqlite3.DatabaseError(" ".join(answer.split()))
      _try_to_write(database)
      tables = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='Execution'"
      if database.execute(tables).fetchone() is None:
        return 0
      (last,) = database.execute("SELECT MAX(id) FROM Execution").fetchone()
      return last or 0
  except sqlite3.OperationalError as error:
    raise RuntimeError(
      f"{path}, which every run writes, cannot be written ({error}): see that it is a "
      "file of yours on a disk that is writable and not full, and that no other "
      "program holds it; for many processes at once there is --metadata mysql://..."
    ) from error


def _try_to_write(database: sqlite3.Connection) -> None:
  """Needs what a run's writes will need, and changes nothing."""
  (number,) = database.execute("PRAGMA user_version").fetchone()
  database.execute("BEGIN IMMEDIATE")
  database.execute(f"PRAGMA user_version = {number}")
  database.rollback()


def _executions_in(artifacts_dir: str) -> set[int]:
  """The ids in TFX's names of outputs: NODE/OUTPUT/ID."""
  places = folder(artifacts_dir)
  return {
    int(name)
    for node in places.names()
    for output in places.names(node)
    if not output.startswith(".")
    for name in places.names(f"{node}/{output}")
    if name.isdecimal()
  }


def _start_anew(site: Site) -> str:
  if is_url(site.root):
    return "choose another --root; models that were pushed are kept in any case"
  before = os.path.join(site.root, "before")
  names = [p for p in (site.metadata_path, site.artifacts_dir) if os.path.lexists(p)]
  moved = " ".join(map(shlex.quote, names))
  aside = shlex.quote(before)
  return (
    f"start anew beside them (`mkdir {aside} && mv {moved} {aside}`): checkpoints and "
    "models are kept, but the first model then has no other to beat"
  )
