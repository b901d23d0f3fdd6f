"""What a store asks of the place it lies in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hardmine.serving.store.entries import AuditEntry, State
from hardmine.serving.store.parsing import Aliases

Decide = Callable[[State], list[AuditEntry]]


class Storage(Protocol):
  """What differs between folders and object stores.

  Attributes:
    url: of the store.
  """

  url: str

  def exists(self) -> bool:
    """Whether anything was ever added."""
    ...

  def numbers(self) -> list[int]:
    """Complete versions, rising."""
    ...

  def read(self, number: int, path: str) -> bytes:
    """A file of a complete version; FileNotFoundError where there is none."""
    ...

  def check(self, number: int, manifest: dict[str, Any]) -> None:
    """Raises RuntimeError unless every file is as the manifest says."""
    ...

  def fetch(self, number: int, manifest: dict[str, Any]) -> Path:
    """A local folder with the version's files."""
    ...

  def signatures(self, number: int) -> dict[str, bytes]:
    """Of a version: name of the key to signature."""
    ...

  def write_signature(self, number: int, key: str, content: bytes) -> None:
    """Replaces what the key has signed before."""
    ...

  def aliases(self) -> Aliases:
    """Every alias, those included that cannot be read."""
    ...

  def entries(self) -> list[AuditEntry]:
    """The log, oldest first."""
    ...

  def add(
    self,
    model_dir: Path,
    documents: dict[str, bytes],
    manifest: dict[str, Any],
    entry: Callable[[int], AuditEntry],
  ) -> tuple[int, bool]:
    """Copies a model in and gives it the next number.

    Args:
      model_dir: the exported model.
      documents: what lies beside it, path to content.
      manifest: of both.
      entry: makes the log line of a number.

    Returns:
      The number, and whether the digest had it already.
    """
    ...

  def transact(self, decide: Decide) -> tuple[State, list[AuditEntry]]:
    """Applies the log lines that `decide` makes of the present state.

    Nobody else writes between the two; `decide` may be called again, and may raise.

    Returns:
      The state before, and the lines.
    """
    ...

  def sweep(self, dry_run: bool = False) -> list[str]:
    """Removes what killed writers left, and says which."""
    ...
