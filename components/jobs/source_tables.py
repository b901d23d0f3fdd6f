"""What sources come to, in memory that does not grow with their number.

Whoever submits a job asks only whether its photographs are those of before. They are
listed into SQLite's temporary tables, which it sorts, on disk where they are many.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from hardmine.components.jobs.patterns import match
from hardmine.components.jobs.sources import (
  Source,
  digest_of,
  labels_of,
  printable,
  stamp_of,
)
from hardmine.schemas.config import require

_CODEC = "utf-8", "surrogatepass"  # whose bytes are in the order of the letters


def patterns_fingerprint(patterns: Sequence[str]) -> str:
  """`sources.fingerprint` of `sources.find_sources`, of the images of patterns.

  Raises:
    ValueError: as `find_sources`.
  """
  with _table("CREATE TABLE matched (path BLOB, root BLOB, stamp TEXT)") as table:
    for pattern in patterns:
      rows = (
        (one.path.encode(*_CODEC), one.root.encode(*_CODEC), stamp_of(one.facts))
        for one in match(pattern)
        if not one.why
      )
      table.executemany("INSERT INTO matched VALUES (?, ?, ?)", rows)
    # Of a path, the longest root, and of equal ones the first: SQLite takes the other
    # columns from the row of the maximum.
    table.execute(
      "CREATE TABLE chosen AS SELECT path, root, stamp, "
      "max((length(root) << 40) - rowid) FROM matched GROUP BY path ORDER BY path"
    )
    table.execute("DROP TABLE matched")
    roots = {
      root.decode(*_CODEC)
      for (root,) in table.execute("SELECT DISTINCT root FROM chosen")
    }
    labels = labels_of(roots)
    table.execute("CREATE TABLE names (id TEXT)")
    rows = table.execute("SELECT path, root, stamp FROM chosen ORDER BY path")
    told = digest_of(_named(rows, labels, table))
    twice = table.execute("SELECT id FROM names GROUP BY id HAVING count(*) > 1")
    names = [name for (name,) in twice.fetchmany(3)]
    require(not names, "images whose ids differ", twice=names)
    return told


def sources_fingerprint(sources: Iterable[Source]) -> str:
  """`sources.fingerprint` of any number of sources."""
  with _table("CREATE TABLE listed (path BLOB, id BLOB, stamp BLOB)") as table:
    rows = (
      tuple(text.encode(*_CODEC) for text in (one.path, one.id, one.stamp))
      for one in sources
    )
    table.executemany("INSERT INTO listed VALUES (?, ?, ?)", rows)
    found = table.execute("SELECT * FROM listed ORDER BY path, id, stamp")
    return digest_of(tuple(text.decode(*_CODEC) for text in row) for row in found)


def _named(
  rows: Iterable[tuple[bytes, bytes, str]],
  labels: dict[str, str],
  table: sqlite3.Connection,
) -> Iterator[tuple[str, str, str]]:
  """Yields (path, id, stamp), and notes the ids where two may be equal."""
  for path_bytes, root_bytes, stamp in rows:
    path, root = path_bytes.decode(*_CODEC), root_bytes.decode(*_CODEC)
    name = printable(labels[root] + path[len(root) :].lstrip("/"))
    if len(labels) > 1 or "\\" in name:
      table.execute("INSERT INTO names VALUES (?)", (name,))
    yield path, name, stamp


@contextlib.contextmanager
def _table(statement: str) -> Iterator[sqlite3.Connection]:
  """A database of its own, which goes; its name is empty: what is little stays in
  memory."""
  table = sqlite3.connect("", isolation_level=None)
  try:
    table.execute("PRAGMA journal_mode = OFF")
    table.execute(statement)
    table.execute("BEGIN")
    yield table
  finally:
    table.close()
