"""Whether a root's metadata.sqlite is whole and knows the outputs beside it.

Looked at with Python's own SQLite, before TFX is imported: what ML Metadata says of a
damaged file names neither the file nor a remedy.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from pathlib import Path

from hardmine.pipelines.site import Site


def check_metadata(site: Site) -> None:
  """Looks at ROOT/metadata.sqlite and at the names of the folders in artifacts/.

  Raises:
    RuntimeError: it is damaged, cannot be written, or is gone or older than the
      outputs, so that new ones would get the names of folders that are there.
  """
  known = _last_execution(site) if os.path.lexists(site.metadata_path) else 0
  newest = max(_executions_in(site.artifacts_dir), default=0)
  if newest <= known:
    return
  state = "is older than they are" if known else "is not there or holds nothing"
  raise RuntimeError(
    f"{site.artifacts_dir} holds outputs of earlier runs, but {site.metadata_path}, "
    f"which knows what they are, {state}: put it back, or {_start_anew(site)}"
  )


def _last_execution(site: Site) -> int:
  """The highest id that was given; 0 in a file that no run has used."""
  path = site.metadata_path
  try:
    with contextlib.closing(sqlite3.connect(path, timeout=1)) as database:
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
      "program holds it"
    ) from error
  except sqlite3.DatabaseError as error:
    raise RuntimeError(
      f"{path} is damaged ({error}): put a copy of it back, or {_start_anew(site)}"
    ) from error


def _try_to_write(database: sqlite3.Connection) -> None:
  """Needs what a run's writes will need, and changes nothing."""
  (number,) = database.execute("PRAGMA user_version").fetchone()
  database.execute("BEGIN IMMEDIATE")
  database.execute(f"PRAGMA user_version = {number}")
  database.rollback()


def _executions_in(artifacts_dir: str) -> set[int]:
  """The ids in TFX's names of outputs: NODE/OUTPUT/ID."""
  return {
    int(path.name)
    for path in Path(artifacts_dir).glob("*/*/*")
    if path.name.isdecimal() and not path.parent.name.startswith(".")
  }


def _start_anew(site: Site) -> str:
  before = os.path.join(site.root, "before")
  names = [p for p in (site.metadata_path, site.artifacts_dir) if os.path.lexists(p)]
  moved = " ".join(map(shlex.quote, names))
  aside = shlex.quote(before)
  return (
    f"start anew beside them (`mkdir {aside} && mv {moved} {aside}`): checkpoints and "
    "models are kept, but the first model then has no other to beat"
  )
