"""The one door to a model store; see `components/model_store/__init__.py`."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from components.model_store import contents
from components.model_store.local import LocalStorage
from components.model_store.records import (
  UNSET,
  AuditEntry,
  Conflict,
  Move,
  Pointer,
  State,
  Unset,
  Version,
)
from components.model_store.storage import Storage
from components.staging import StagedFolder
from schemas.config import require

_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ModelStore:
  """Versions of models, aliases that point at them, and a log of every change.

  Args:
    url: a local folder or any fsspec URL. Nothing is made before the first `add`.

  Attributes:
    url: as given, local paths absolute.
  """

  def __init__(self, url: str | os.PathLike):
    text = os.fspath(url)
    if text.startswith("file://"):
      text = text.removeprefix("file://")
    require(bool(text), "the folder or URL of a model store", url=url)
    self._storage: Storage
    if "://" in text:
      from components.model_store.objects import ObjectStorage

      self._storage = ObjectStorage(text.rstrip("/"))
    else:
      self._storage = LocalStorage(Path(os.path.abspath(os.path.expanduser(text))))
    self.url = self._storage.url

  def exists(self) -> bool:
    """Whether anything was ever added."""
    return self._storage.exists()

  def versions(self) -> list[int]:
    """The numbers of the complete versions, rising."""
    return self._storage.numbers()

  def version(self, number: int) -> Version:
    """One version.

    Raises:
      ValueError: there is none of this number.
      RuntimeError: its manifest is damaged.
    """
    manifest = self._manifest(number)

    def read_document(name: str) -> dict[str, Any]:
      path = contents.DOCUMENTS[name]
      try:
        return json.loads(self._storage.read(number, path))
      except (OSError, ValueError) as error:
        where = f"{self.url}/versions/{number}/{path}"
        raise RuntimeError(f"{where} cannot be read: {error}") from error

    return Version(
      number=number,
      kind=manifest["kind"],
      model_id=manifest["model_id"],
      digest=manifest["digest"],
      created_at=manifest["created_at"],
      num_bytes=manifest["num_bytes"],
      passed=manifest["passed"],
      numbers=manifest["numbers"],
      read_document=read_document,
    )

  def files(self, number: int) -> dict[str, dict[str, Any]]:
    """The files of a version by its manifest: path to `sha256` and `bytes`.

    Raises:
      ValueError: there is none of this number.
      RuntimeError: its manifest is damaged.
    """
    return self._manifest(number)["files"]

  def aliases(self) -> dict[str, int]:
    """Alias to version."""
    return {name: pointer.version for name, pointer in self.pointers().items()}

  def pointers(self) -> dict[str, Pointer]:
    """Alias to version, digest, and the move that made it so."""
    return self._storage.pointers()

  def resolve(self, reference: str | int) -> int:
    """The version that a number or an alias means.

    Raises:
      ValueError: neither; the line says what there is.
    """
    text = str(reference)
    aliases = self.aliases()
    if text in aliases:
      return aliases[text]
    numbers = self.versions()
    if text.isascii() and text.isdecimal() and int(text) in numbers:
      return int(text)
    if not numbers:
      raise ValueError(
        f"Expected a model store that holds something. Received: {self.url!r}"
      )
    names = ", ".join(sorted(aliases)) or "none yet"
    shown = "..., " * (len(numbers) > 10) + ", ".join(map(str, numbers[-10:]))
    raise ValueError(
      f"Expected an alias of {self.url} ({names}) or a version ({shown}). "
      f"Received: {text!r}"
    )

  def local_dir(self, number: int) -> Path:
    """A folder with the version's files; of an object store, a checked copy.

    Raises:
      ValueError: there is no such version.
      RuntimeError: what was downloaded differs from the manifest.
    """
    return self._storage.fetch(number, self._manifest(number))

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
    who: str,
    why: str = "",
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
      who: adds it.
      why: in words.

    Raises:
      ValueError: no model, symbolic links in it, or values that are not JSON.
      RuntimeError: the copy differs from the model.
      OSError: the store cannot be written. It is whole, the call may be repeated.
    """
    require(kind in contents.KINDS, f"a kind among {contents.KINDS}", kind=kind)
    documents = contents.make_documents(experiment, metrics, verdict, lineage)
    files = contents.describe(model_dir)
    added = AuditEntry.now(who=who, why=why, action="add")
    manifest = contents.make_manifest(
      files,
      documents,
      kind=kind,
      model_id=model_id,
      metrics=metrics,
      passed=verdict.get("passed") is True,
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
    who: str,
    why: str = "",
    if_current: int | Unset | None = UNSET,
    override: str | None = None,
    details: dict[str, Any] | None = None,
    action: str = "promote",
  ) -> Move:
    """Makes an alias mean a version, or nothing; compare-and-swap.

    Args:
      alias: of a-z, 0-9, _ and -, and not a number.
      version: None removes the alias.
      who: moves it.
      why: in words.
      if_current: what the alias must hold (None: nothing) for the move to happen.
      override: the reason for passing over refused checks.
      details: JSON values for the log.
      action: word for the log.

    Raises:
      ValueError: no such version, or not a name for an alias.
      Conflict: the alias holds something else than `if_current`.
    """
    require(
      _ALIAS.fullmatch(alias) is not None and not alias.isdecimal(),
      "an alias of a-z, 0-9, _ and -, with a letter",
      alias=alias,
    )
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
          who=who,
          why=why,
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

  def audit(self) -> list[AuditEntry]:
    """The log, oldest first."""
    return self._storage.entries()

  def verify(self, number: int) -> None:
    """Holds every byte of a version against its manifest, and that against the log.

    Raises:
      ValueError: there is no such version.
      RuntimeError: naming the file and its fault.
    """
    manifest = self._manifest(number)
    for entry in self.audit():
      same = entry.action == "add" and entry.to_version == number
      if same and entry.digest != manifest["digest"]:
        raise RuntimeError(
          f"{self.url}/versions/{number} is not what was added: its digest is "
          f"{manifest['digest']}, the log's {entry.digest}"
        )
    self._storage.check(number, manifest)

  def gc(
    self,
    keep: int,
    dry_run: bool = False,
    *,
    who: str = "gc",
    why: str = "",
  ) -> list[int]:
    """Removes old versions, never one that an alias holds, and leftovers of the killed.

    Args:
      keep: so many of the newest stay, at least 1.
      dry_run: only say which.
      who: removes them.
      why: in words.

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

    def decide(state: State) -> list[AuditEntry]:
      return [
        AuditEntry.now(
          who=who, why=why or f"keep {keep}", action="gc", from_version=number
        )
        for number in victims(state)
      ]

    _, entries = self._storage.transact(decide)
    self._storage.sweep()
    return [entry.from_version for entry in entries if entry.from_version is not None]

  def export(self, number: int, directory: str | os.PathLike) -> None:
    """Copies a version out, checked.

    Raises:
      ValueError: no such version, or the folder has content.
      RuntimeError: a file is damaged; nothing is written then.
    """
    manifest = self._manifest(number)
    with StagedFolder(directory) as staging:
      source = self._storage.fetch(number, manifest)
      shutil.copytree(source, staging, dirs_exist_ok=True, symlinks=True)
      contents.check_files(staging, manifest)

  def _manifest(self, number: int) -> dict[str, Any]:
    where = f"{self.url}/versions/{number}/{contents.MANIFEST}"
    try:
      return contents.parse_manifest(
        self._storage.read(number, contents.MANIFEST), where
      )
    except FileNotFoundError:
      there = self.versions()
      shown = f"{there[0]} to {there[-1]}" if there else "none yet"
      raise ValueError(
        f"Expected a version of {self.url} ({shown}). Received: {number}"
      ) from None


def _named(version: int | Unset | None) -> str:
  return "nothing" if version is None else f"version {version}"
