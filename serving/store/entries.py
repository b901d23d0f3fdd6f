"""What a store says about itself: versions, moves, and lines of its log."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import uuid
from collections.abc import Callable
from typing import Any


class Unset:
  """The type of `UNSET`: no value was given, where None is a value."""

  def __repr__(self) -> str:
    return "UNSET"


UNSET = Unset()


class Conflict(RuntimeError):
  """Somebody else moved the alias first; the message names them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reason:
  """What everybody owes the log who changes a store.

  Attributes:
    who: person or program.
    why: in words.
  """

  who: str
  why: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditEntry:
  """One line of the log.

  Attributes:
    at: ISO 8601 in UTC, for people; the order of lines is the order of changes.
    who: person or program.
    action: `add`, `sign`, `promote`, `rollback`, `remove` (of an alias) or `gc`.
    alias: that moved, or None.
    from_version: what the alias held before; of `gc` the version that went.
    to_version: what was added or signed, or what the alias holds now.
    digest: of `to_version`, None where there is none.
    why: in words.
    override: the reason given for passing over refused checks, or None.
    details: JSON values: refused numbers, checks, and the like.
    id: unlike that of any other line.
  """

  at: str
  who: str
  action: str
  alias: str | None = None
  from_version: int | None = None
  to_version: int | None = None
  digest: str | None = None
  why: str = ""
  override: str | None = None
  details: dict[str, Any] = dataclasses.field(default_factory=dict)
  id: str = ""

  def to_plain(self) -> dict[str, Any]:
    """JSON values; `from_plain` inverts it."""
    return dataclasses.asdict(self)

  @classmethod
  def from_plain(cls, plain: dict[str, Any]) -> AuditEntry:
    """Fields that a later hardmine added are left out."""
    known = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: value for name, value in plain.items() if name in known})

  @classmethod
  def now(cls, reason: Reason, **fields: Any) -> AuditEntry:
    """A new line with the time and an id."""
    at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    return cls(at=at, id=uuid.uuid4().hex, who=reason.who, why=reason.why, **fields)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pointer:
  """What an alias holds, and the move that made it so."""

  version: int
  digest: str
  moved: AuditEntry


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
  """A store at one moment: the numbers of its versions, and its aliases."""

  versions: frozenset[int]
  aliases: dict[str, Pointer]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
  """What `ModelStore.move` did.

  Attributes:
    already: the alias was there, and nothing was written.
    entry: the line of the log, None where nothing was written.
  """

  alias: str
  from_version: int | None
  to_version: int | None
  already: bool
  entry: AuditEntry | None


@dataclasses.dataclass(frozen=True)
class Version:
  """A complete version. The four documents are read when first asked for.

  Attributes:
    kind: `codec` or `detector`.
    model_id: hex digits.
    digest: SHA-256 over the model and what it was judged by, hex digits.
    created_at: ISO 8601 in UTC.
    num_bytes: of all files.
    passed: whether the verdict says so.
    numbers: the flat numbers of `metrics`.
  """

  number: int
  kind: str
  model_id: str
  digest: str
  created_at: str
  num_bytes: int
  passed: bool
  numbers: dict[str, float]
  read_document: Callable[[str], dict[str, Any]] = dataclasses.field(
    repr=False, compare=False
  )

  @functools.cached_property
  def experiment(self) -> dict[str, Any]:
    """What the model was made by: an `Experiment` as JSON values."""
    return self.read_document("experiment")

  @functools.cached_property
  def metrics(self) -> dict[str, Any]:
    """The `metrics.json` of its evaluation."""
    return self.read_document("metrics")

  @functools.cached_property
  def verdict(self) -> dict[str, Any]:
    """The `verdict.json` of its evaluation."""
    return self.read_document("verdict")

  @property
  def results(self) -> list[dict[str, Any]]:
    """Of each gate, as the verdict has it."""
    found = self.verdict.get("results")
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []

  @functools.cached_property
  def lineage(self) -> dict[str, Any]:
    """Where it comes from: run, artifacts, data."""
    return self.read_document("lineage")
