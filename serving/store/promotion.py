"""Promotion: what must hold before an alias moves, and the move itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from hardmine.schemas.config import require
from hardmine.serving.probe.ask_model import ask
from hardmine.serving.store import checks
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.checks import Answers, Check
from hardmine.serving.store.comparison import MetricDifference
from hardmine.serving.store.copying import copy_signatures, copy_version
from hardmine.serving.store.entries import (
  UNSET,
  AuditEntry,
  Conflict,
  Reason,
  Unset,
)
from hardmine.serving.store.store import ModelStore, check_alias


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promotion:
  """What was found and done.

  Attributes:
    alias: that moves.
    from_version: what it held, None for nothing.
    to_version: the candidate; of another store's the number that it gets.
    checks: in the order they were made.
    differences: of the numbers that gates look at.
    override: the reason that was given, or None.
    already: the alias held the version; nothing was checked or moved.
    moved: the alias moved.
    entry: the line of the log, if it moved.
  """

  alias: str
  from_version: int | None
  to_version: int
  checks: tuple[Check, ...] = ()
  differences: tuple[MetricDifference, ...] = ()
  override: str | None = None
  already: bool = False
  moved: bool = False
  entry: AuditEntry | None = None

  @property
  def refusals(self) -> tuple[Check, ...]:
    """The checks that stand in the way."""
    return tuple(
      check
      for check in self.checks
      if not check.passed and not (check.can_override and self.override)
    )


class Refused(RuntimeError):
  """A check stands in the way; nothing moved.

  Attributes:
    promotion: what was found.
  """

  def __init__(self, promotion: Promotion):
    reasons = "; ".join(f"{one.name}: {one.reason}" for one in promotion.refusals)
    remedy = (
      " (--override REASON passes over it)"
      if all(one.can_override for one in promotion.refusals)
      else ""
    )
    super().__init__(
      f"version {promotion.to_version} is refused as {promotion.alias}: "
      f"{reasons}{remedy}"
    )
    self.promotion = promotion


def promote(
  store: ModelStore,
  reference: str | int,
  alias: str,
  *,
  reason: Reason,
  dry_run: bool = False,
  override: str | None = None,
  if_current: int | Unset | None = UNSET,
  allow_older: bool = False,
  public_keys: Sequence[str | os.PathLike] = (),
  source: Catalogue | None = None,
  check: Answers | None = None,
) -> Promotion:
  """Moves an alias to a version that passes every check.

  Args:
    store: has the alias.
    reference: a version or an alias, such as `candidate`.
    alias: to move.
    reason: for the log.
    dry_run: check, and move nothing.
    override: the reason to pass over refused numbers; the log keeps both.
    if_current: what the alias must hold, None for nothing.
    allow_older: a version below the present one may follow it.
    public_keys: PEM files; the holder of one must have signed the version. Without
      any, signatures are not asked for.
    source: another store that holds the version; it is copied once it has passed.
    check: asks the model in a sub-process; None takes `serving.probe.ask_model.ask`.

  Returns:
    What was found; a dry run returns refusals too.

  Raises:
    ValueError: no such version or alias, or an empty reason.
    Refused: a check failed.
    Conflict: the alias moved meanwhile, or is not at `if_current`.
  """
  require(
    override is None or bool(override.strip()),
    "a reason to override",
    override=override,
  )
  check_alias(alias)
  origin = store if source is None or source.url == store.url else source
  number = origin.resolve(reference)
  candidate, numbers, twin = origin.version(number), (), None
  if origin is not store:
    twin = store.newest("digest", candidate.digest)
  if twin is not None:
    if not dry_run:
      copy_signatures(origin, number, store, twin, who=reason.who)
    origin, number, candidate = store, twin, store.version(twin)
  is_here = origin is store
  current = store.aliases().get(alias)
  _check_race(store, alias, number if is_here else None, current, if_current)
  if is_here and current == number:
    return Promotion(alias=alias, from_version=number, to_version=number, already=True)
  hint = f"; it is the model of {reference}, and came here from another run"
  made = _genuine(origin, number, public_keys, "" if twin is None else hint)
  if all(one.passed for one in made):
    age = checks.newer(number if is_here else None, current, allow_older)
    made += [checks.judged(candidate), age]
    compared, numbers = checks.compared(store, candidate, current)
    made += [compared, checks.answers(origin, candidate, check or ask, public_keys)]
  found = Promotion(
    alias=alias,
    from_version=current,
    to_version=number if is_here else max(store.versions(), default=0) + 1,
    checks=tuple(made),
    differences=numbers,
    override=override if not all(one.passed for one in made) else None,
  )
  if dry_run:
    return found
  if found.refusals:
    raise Refused(found)
  if not is_here:
    copy = copy_version(origin, number, store, reason=reason)
    found = dataclasses.replace(found, to_version=copy)
  return _move(store, found, reason, "promote")


def rollback(
  store: ModelStore,
  alias: str,
  *,
  reason: Reason,
  to: int | None = None,
  dry_run: bool = False,
  public_keys: Sequence[str | os.PathLike] = (),
  check: Answers | None = None,
) -> Promotion:
  """Moves an alias back to what it held before, after checking that again.

  Numbers are not compared: that the earlier model was worse is known. A second
  rollback goes back further, never forth to what the first one left.

  Args:
    store: nothing in it is removed.
    alias: to move.
    reason: for the log.
    to: the version, which it has held; None takes the one before.
    dry_run: check, and move nothing.
    public_keys: as for `promote`.
    check: as for `promote`.

  Raises:
    ValueError: there is nothing to go back to, or it never held that.
    Refused: the earlier version is damaged or does not answer.
    Conflict: the alias moved meanwhile.
  """
  aliases = store.aliases()
  require(
    alias in aliases,
    f"an alias among {', '.join(sorted(aliases)) or 'none'}",
    alias=alias,
  )
  current = aliases[alias]
  if to is None:
    number = earlier_version(store, alias)
  else:
    held = {entry.to_version for entry in store.audit() if entry.alias == alias}
    number = store.resolve(to)
    require(
      number in held,
      f"a version that {alias} has held (`promote` moves it to another)",
      to=number,
    )
  if number is None:
    raise ValueError(
      f"Expected an alias with an earlier version to go back to. Received: {alias!r}, "
      f"which has held nothing before version {current} that is still there"
    )
  if number == current:
    return Promotion(alias=alias, from_version=current, to_version=number, already=True)
  made = _genuine(store, number, public_keys)
  if all(one.passed for one in made):
    made.append(checks.answers(store, store.version(number), check or ask, public_keys))
  found = Promotion(
    alias=alias, from_version=current, to_version=number, checks=tuple(made)
  )
  if dry_run:
    return found
  if found.refusals:
    raise Refused(found)
  return _move(store, found, reason, "rollback")


def earlier_version(store: ModelStore, alias: str) -> int | None:
  """What an alias held before, without what was rolled back from or removed."""
  there, held = set(store.versions()), []
  for entry in store.audit():
    if entry.alias != alias or entry.to_version is None:
      continue
    if entry.action == "rollback" and entry.to_version in held:
      del held[held.index(entry.to_version) :]
    elif entry.to_version in held:
      held.remove(entry.to_version)
    held.append(entry.to_version)
  return next((number for number in reversed(held[:-1]) if number in there), None)


def _genuine(
  store: Catalogue,
  number: int,
  public_keys: Sequence[str | os.PathLike],
  hint: str = "",
) -> list[Check]:
  """First of all: what a damaged or foreign version says of itself is worth nothing,
  and it is not loaded either."""
  made = [checks.whole(store, number)]
  if made[0].passed and public_keys:
    made.append(checks.signed(store, number, public_keys, hint))
  return made


def _check_race(
  store: ModelStore,
  alias: str,
  number: int | None,
  current: int | None,
  if_current: int | Unset | None,
) -> None:
  """Before the checks, which take a while; `move` looks once more."""
  held = number is not None and current == number
  if isinstance(if_current, Unset) or if_current == current or held:
    return
  pointer = store.pointers().get(alias)
  by = f", moved by {pointer.moved.who} at {pointer.moved.at}" if pointer else ""
  raise Conflict(
    f"{alias} is {'version ' + str(current) if current else 'nothing'}{by}, and not "
    f"{'version ' + str(if_current) if if_current else 'nothing'}: nothing moved"
  )


def _move(
  store: ModelStore, found: Promotion, reason: Reason, action: str
) -> Promotion:
  move = store.move(
    found.alias,
    found.to_version,
    reason=reason,
    if_current=found.from_version,  # what the checks looked at
    override=found.override,
    details=_details(found),
    action=action,
  )
  return dataclasses.replace(
    found, moved=not move.already, already=move.already, entry=move.entry
  )


def _details(found: Promotion) -> dict[str, Any]:
  """For the log: the numbers, who signed, and what was passed over."""
  details: dict[str, Any] = {}
  if found.differences:
    details["numbers"] = {
      one.metric: [one.before, one.after] for one in found.differences
    }
  signed = [one.reason for one in found.checks if one.name == "signature"]
  if signed:
    details["signed"] = signed[0]
  refused = {one.name: one.reason for one in found.checks if not one.passed}
  return {**details, "refused": refused} if refused else details
