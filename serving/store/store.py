"""What changes a model store: versions are added, aliases move, old versions go."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import KINDS
from hardmine.serving.store import contents
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.entries import (
  UNSET,
  AuditEntry,
  Conflict,
  Move,
  Reason,
  State,
  Unset,
)

_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]*")
_KEY = re.compile(r"[0-9a-f]{64}")
_COLLECTED = Reason(who="gc")


class ModelStore(Catalogue):
  """A store that may be written; nothing is made before the first `add`."""

  def add(
    self,
    model_dir: str | os.PathLike,
    *,
    kind: str,
    model_id: str,
    experiment: dict[str, Any],
    metrics: dict[str, Any],
    verdict: dict[str, Any],
    lineage: dict[str, Any],
    reason: Reason,
  ) -> int:
    """Copies an exported model in, checked, as the next version.

    The same model with the same experiment, metrics and verdict is a version once:
    its number is returned again.

    Args:
      model_dir: of this machine; a SavedModel.
      kind: `codec` or `detector`.
      model_id: hex digits.
      experiment: what it was made by, JSON values.
      metrics: of its evaluation.
      verdict: of its evaluation.
      lineage: where it comes from; no part of the digest.
      reason: for the log and the manifest.

    Raises:
      ValueError: no model, symbolic links in it, or values that are not JSON.
      RuntimeError: the copy differs from the model.
      OSError: the store cannot be written. It is whole, the call may be repeated.
    """
    require(kind in KINDS, f"a kind among {KINDS}", kind=kind)
    documents = contents.make_documents(experiment, metrics, verdict, lineage)
    files = contents.describe(model_dir)
    added = AuditEntry.now(reason, action="add")
    manifest = contents.make_manifest(
      files,
      documents,
      kind=kind,
      model_id=model_id,
      summary=contents.summary(metrics, verdict),
      added=added,
    )

    def entry(number: int) -> AuditEntry:
      plain = {**added.to_plain(), "to_version": number, "digest": manifest["digest"]}
      return AuditEntry.from_plain(plain)

    number, _ = self._storage.add(Path(model_dir), documents, manifest, entry)
    return number

  def move(
    self,
    alias: str,
    version: int | None,
    *,
    reason: Reason,
    if_current: int | Unset | None = UNSET,
    override: str | None = None,
    details: dict[str, Any] | None = None,
    action: str = "promote",
  ) -> Move:
    """Makes an alias mean a version, or nothing; compare-and-swap.

    Args:
      alias: of a-z, 0-9, _ and -, and not a number.
      version: None removes the alias.
      reason: for the log.
      if_current: what the alias must hold (None: nothing) for the move to happen.
      override: the reason for passing over refused checks.
      details: JSON values for the log.
      action: word for the log.

    Raises:
      ValueError: no such version, or not a name for an alias.
      Conflict: the alias holds something else than `if_current`.
    """
    check_alias(alias)
    digest = None if version is None else self._manifest(version)["digest"]

    def decide(state: State) -> list[AuditEntry]:
      current = state.aliases.get(alias)
      held = current.version if current else None
      if held == version:
        return []
      if not isinstance(if_current, Unset) and held != if_current:
        by = f", moved by {current.moved.who} at {current.moved.at}" if current else ""
        raise Conflict(
          f"{alias} is {_named(held)}{by}, and not {_named(if_current)}: nothing moved"
        )
      if version is not None and version not in state.versions:
        raise ValueError(f"Expected a version of {self.url}. Received: {version}")
      return [
        AuditEntry.now(
          reason,
          action=action if version is not None else "remove",
          alias=alias,
          from_version=held,
          to_version=version,
          digest=digest,
          override=override,
          details=details or {},
        )
      ]

    state, entries = self._storage.transact(decide)
    current = state.aliases.get(alias)
    return Move(
      alias=alias,
      from_version=current.version if current else None,
      to_version=version,
      already=not entries,
      entry=entries[0] if entries else None,
    )

  def add_signature(
    self, number: int, key: str, content: bytes, *, reason: Reason
  ) -> None:
    """Puts a signature beside a version; an earlier one of the same key goes.

    Args:
      number: of the version.
      key: its name, hex digits.
      content: nothing is checked here, but by whoever trusts the key.
      reason: for the log.

    Raises:
      ValueError: there is no such version, or no such name.
    """
    require(_KEY.fullmatch(key) is not None, "hex digits", key=key)
    digest = self._manifest(number)["digest"]

    def decide(state: State) -> list[AuditEntry]:
      require(number in state.versions, f"a version of {self.url}", number=number)
      return [
        AuditEntry.now(
          reason,
          action="sign",
          to_version=number,
          digest=digest,
          details={"key": key},
        )
      ]

    # The log first: what a killed writer leaves is then a version that nobody's
    # signature vouches for, which is refused, and not one without a line.
    self._storage.transact(decide)
    self._storage.write_signature(number, key, content)

  def gc(
    self,
    keep: int,
    dry_run: bool = False,
    *,
    reason: Reason = _COLLECTED,
  ) -> list[int]:
    """Removes old versions, never one that an alias holds, and leftovers of the killed.

    Args:
      keep: so many of the newest stay, at least 1.
      dry_run: only say which.
      reason: for the log, which says how many were kept where it has no words.

    Returns:
      The numbers of the removed versions.
    """
    require(keep >= 1, "keep >= 1", keep=keep)

    def victims(state: State) -> list[int]:
      held = {pointer.version for pointer in state.aliases.values()}
      return [n for n in sorted(state.versions)[:-keep] if n not in held]

    if dry_run:
      present = State(versions=frozenset(self.versions()), aliases=self.pointers())
      return victims(present)

    told = dataclasses.replace(reason, why=reason.why or f"keep {keep}")

    def decide(state: State) -> list[AuditEntry]:
      return [
        AuditEntry.now(told, action="gc", from_version=number)
        for number in victims(state)
      ]

    _, entries = self._storage.transact(decide)
    self._storage.sweep()
    return [entry.from_version for entry in entries if entry.from_version is not None]


def check_alias(alias: str) -> None:
  """Raises ValueError for what is not a name for an alias."""
  require(
    _ALIAS.fullmatch(alias) is not None and not alias.isdecimal(),
    "an alias of a-z, 0-9, _ and -, with a letter",
    alias=alias,
  )


def _named(version: int | Unset | None) -> str:
  return "nothing" if version is None else f"version {version}"
