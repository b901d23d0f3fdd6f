"""What the index says of a store, read once; a damaged version becomes a sentence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Protocol

from hardmine.schemas.config import require
from hardmine.schemas.gates import Verdict
from hardmine.serving.board.wording import parsed, public
from hardmine.serving.store.entries import AuditEntry, Pointer, Version

PRODUCTION = "production"


class Store(Protocol):
  """The part of a `ModelStore` that a board reads."""

  url: str

  def exists(self) -> bool: ...
  def versions(self) -> list[int]: ...
  def version(self, number: int) -> Version: ...
  def pointers(self) -> dict[str, Pointer]: ...
  def audit(self) -> list[AuditEntry]: ...
  def files(self, number: int) -> dict[str, dict[str, Any]]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """A version as the index shows it.

  Attributes:
    number: its number; the other fields are empty where it cannot be read.
    verdict: None where it was not judged, or the verdict cannot be read.
    aliases: that hold it.
    problem: why it cannot be read, else empty.
  """

  number: int
  kind: str = ""
  model_id: str = ""
  digest: str = ""
  created_at: str = ""
  num_bytes: int = 0
  numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
  verdict: Verdict | None = None
  aliases: tuple[str, ...] = ()
  problem: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overview:
  """A store at one moment.

  Attributes:
    url: without passwords.
    rows: newest first.
    pointers: alias to what it holds.
    log: newest first.
    as_of: the moment of the last change, empty where nothing ever changed.
  """

  url: str
  rows: tuple[Row, ...]
  pointers: dict[str, Pointer]
  log: tuple[AuditEntry, ...]
  as_of: str

  def of_kind(self, kind: str) -> list[Row]:
    """The versions of a kind, oldest first."""
    return [row for row in reversed(self.rows) if row.kind == kind]

  def kinds(self) -> list[str]:
    """What there is: `codec`, `detector`, both or neither."""
    return sorted({row.kind for row in self.rows if row.kind})

  def readable(self) -> set[int]:
    """The numbers of the versions that have a page."""
    return {row.number for row in self.rows if not row.problem}

  def row(self, number: int | None) -> Row | None:
    """A readable version, None where there is none of this number."""
    return next(
      (row for row in self.rows if row.number == number and not row.problem), None
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rival:
  """The version that another is compared with, and what it is called."""

  row: Row
  title: str


def read(store: Store) -> Overview:
  """Reads everything that the index says.

  Raises:
    ValueError: there is no store.
  """
  require(store.exists(), "a model store to which a model was added", store=store.url)
  pointers = store.pointers()
  log = tuple(reversed(store.audit()))
  rows = []
  for number in reversed(store.versions()):
    names = tuple(sorted(n for n, p in pointers.items() if p.version == number))
    row = _row(store, number, names)
    if row is not None:
      rows.append(row)
  moments = [row.created_at for row in rows] + [entry.at for entry in log]
  known = [(when, at) for at in moments if (when := parsed(at)) is not None]
  return Overview(
    url=public(store.url),
    rows=tuple(rows),
    pointers=dict(sorted(pointers.items())),
    log=log,
    as_of=max(known)[1] if known else "",
  )


def rival_of(overview: Overview, row: Row) -> Rival | None:
  """The version in production of the same kind; of that one, the one before it.

  A store of both kinds has an alias for each, such as `detector-production`.
  """
  for name in sorted(overview.pointers, key=lambda name: (name != PRODUCTION, name)):
    if PRODUCTION not in name:
      continue
    held = overview.row(overview.pointers[name].version)
    if held is None or held.kind != row.kind:
      continue
    if held.number != row.number:
      return Rival(row=held, title=f"{name}, version {held.number}")
    before = next(
      (
        entry.from_version
        for entry in overview.log
        if entry.alias == name and entry.to_version == row.number
      ),
      None,
    )
    previous = overview.row(before)
    if previous is None or previous.kind != row.kind:
      return None
    return Rival(row=previous, title=f"version {previous.number}, {name} before")
  return None


def parse_verdict(plain: dict[str, Any]) -> tuple[Verdict | None, str]:
  """A verdict, or why there is none; an empty one says that nothing was judged."""
  if not plain:
    return None, ""
  try:
    return Verdict.from_json(json.dumps(plain)), ""
  except ValueError as error:
    return None, f"the verdict cannot be read: {error}"


def _row(store: Store, number: int, aliases: tuple[str, ...]) -> Row | None:
  try:
    version = store.version(number)
    verdict, _ = parse_verdict(version.verdict)
  except ValueError:  # removed since it was listed
    return None
  except RuntimeError as error:
    return Row(number=number, aliases=aliases, problem=str(error))
  return Row(
    number=number,
    kind=version.kind,
    model_id=version.model_id,
    digest=version.digest,
    created_at=version.created_at,
    num_bytes=version.num_bytes,
    numbers=version.numbers,
    verdict=verdict,
    aliases=aliases,
  )
