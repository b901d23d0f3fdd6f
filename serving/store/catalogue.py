"""What a model store holds. Nothing here writes to it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from hardmine.schemas.config import require
from hardmine.schemas.outputs import StagedFolder
from hardmine.serving.store import contents
from hardmine.serving.store.entries import AuditEntry, Pointer, Version
from hardmine.serving.store.local import LocalStorage
from hardmine.serving.store.parsing import Aliases
from hardmine.serving.store.storage import Storage


class Catalogue:
  """Versions of models, the aliases that point at them, and the log.

  Args:
    url: a local folder or any fsspec URL.

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
      from hardmine.serving.store.objects import ObjectStorage

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
      where = f"{self.url}/versions/{number}/{path}"
      try:
        found = json.loads(self._storage.read(number, path))
      except (OSError, ValueError) as error:
        raise RuntimeError(f"{where} cannot be read: {error}") from error
      if not isinstance(found, dict):
        raise RuntimeError(f"{where} is no JSON object")
      return found

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

  def newest(self, field: Literal["digest", "model_id"], value: str) -> int | None:
    """The newest version of a digest or of a model, None where there is none."""
    for number in reversed(self.versions()):
      try:
        if self._manifest(number)[field] == value:
          return number
      except RuntimeError:  # a damaged one is none
        continue
    return None

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
    """Alias to version, digest, and the move that made it so.

    Raises:
      RuntimeError: one cannot be read.
    """
    return self.all_aliases().sound()

  def all_aliases(self) -> Aliases:
    """What `pointers` gives, and what is wrong with those that cannot be read."""
    return self._storage.aliases()

  def resolve(self, reference: str | int) -> int:
    """The version that a number or an alias means.

    Raises:
      ValueError: neither; the line says what there is.
      RuntimeError: the alias cannot be read; that another cannot does not matter.
    """
    text = str(reference)
    found = self.all_aliases()
    if text in found.faults:
      raise RuntimeError(found.faults[text])
    aliases = found.pointers
    if text in aliases:
      return aliases[text].version
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

  def signatures(self, number: int) -> dict[str, bytes]:
    """What `signing` checks: name of a key to its signature of a version."""
    return self._storage.signatures(number)

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
    one = self.version(number)
    if contents.summary(one.metrics, one.verdict) != {
      name: manifest[name] for name in ("passed", "numbers")
    }:
      raise RuntimeError(
        f"{self.url}/versions/{number}/{contents.MANIFEST} was changed: its numbers "
        "are not those of the metrics and the verdict beside it"
      )

  def export(self, number: int, directory: str | os.PathLike) -> None:
    """Copies a version out, checked.

    Raises:
      ValueError: no such version, or the folder has content.
      RuntimeError: a file is damaged; nothing is written then.
    """
    manifest = self._manifest(number)
    with StagedFolder(directory, remedy="") as staging:
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
