"""A store in a folder of this machine or of a mounted one.

A version is made in a hidden folder and gets its number in one rename; an alias is a
file that is replaced. Writers take turns by a lock that the system releases however
they end; whoever takes it next writes the log lines that a killed one still owed.
Readers need neither the lock nor the right to write.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hardmine.schemas.files import write_atomically
from hardmine.serving.store.contents import (
  MANIFEST,
  added_entry,
  check_files,
  parse_manifest,
)
from hardmine.serving.store.durability import sync, sync_tree
from hardmine.serving.store.entries import AuditEntry, State
from hardmine.serving.store.parsing import (
  Aliases,
  parse_entry,
  parse_log,
  parse_object,
  read_aliases,
)

LOCK_TIMEOUT_SECONDS = 60
MAX_SIGNATURE_BYTES = 1 << 20  # a line a file: thousands of files
_POLL_SECONDS = 0.005


class LocalStorage:
  """Files and folders below `root`.

  Args:
    root: is made when something is first written.
  """

  def __init__(self, root: Path):
    self.url = str(root)
    self._root = root
    self._versions, self._aliases = root / "versions", root / "aliases"
    self._staging, self._audit = root / ".staging", root / "audit.jsonl"
    self._signatures = root / "signatures"

  def exists(self) -> bool:
    """Whether anything was ever added."""
    return self._versions.is_dir()

  def numbers(self) -> list[int]:
    """Complete versions, rising."""
    return sorted(
      number for number in self._taken() if (self.folder(number) / MANIFEST).is_file()
    )

  def _taken(self) -> list[int]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
      names = os.listdir(self._versions)
      return [int(name) for name in names if name.isascii() and name.isdecimal()]
    return []

  def folder(self, number: int) -> Path:
    """Where a version lies; nothing is looked at."""
    return self._versions / str(number)

  def read(self, number: int, path: str) -> bytes:
    """A file of a version."""
    return (self.folder(number) / path).read_bytes()

  def check(self, number: int, manifest: dict[str, Any]) -> None:
    """Raises RuntimeError unless every file is as the manifest says."""
    check_files(self.folder(number), manifest)

  def fetch(self, number: int, manifest: dict[str, Any]) -> Path:
    """The folder itself."""
    return self.folder(number)

  def signatures(self, number: int) -> dict[str, bytes]:
    """Of a version: name of the key to signature."""
    folder = self._signatures / str(number)
    paths = [] if folder.is_symlink() else sorted(folder.glob("[!.]*.sig"))
    return {path.stem: path.read_bytes() for path in paths if _is_signature(path)}

  def write_signature(self, number: int, key: str, content: bytes) -> None:
    """Replaces what the key has signed before."""
    folder = self._signatures / str(number)
    with self._locked():
      folder.mkdir(parents=True, exist_ok=True)
      if folder.is_symlink():
        raise RuntimeError(f"{folder} is a link: nothing is written through it")
      write_atomically(folder / f"{key}.sig", content)
      for changed in (folder, self._signatures, self._root):
        sync(changed)

  def aliases(self) -> Aliases:
    """Every alias, those included that cannot be read."""
    return read_aliases(self._aliases)

  def entries(self) -> list[AuditEntry]:
    """The log; a line that its writer did not finish is no line."""
    try:
      text = self._audit.read_bytes()
    except FileNotFoundError:
      return []
    return parse_log(text, str(self._audit))

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
    for folder in (self._versions, self._aliases, self._staging):
      folder.mkdir(parents=True, exist_ok=True)
    with self._staging_folder() as staging:
      for path in manifest["files"]:
        target = staging / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in documents:
          target.write_bytes(documents[path])
        else:
          shutil.copyfile(model_dir / path, target, follow_symlinks=False)
      write_atomically(staging / MANIFEST, json.dumps(manifest, indent=2) + "\n")
      sync_tree(staging)
      check_files(staging, manifest)  # also where the model changed meanwhile
      with self._locked():
        for number in self.numbers():
          if self._digest(number) == manifest["digest"]:
            return number, True
        # Numbers of the log too, lest one be used twice after a removal by hand.
        logged = [e.to_version or 0 for e in self.entries() if e.action == "add"]
        number = max([0, *self._taken(), *logged]) + 1
        os.rename(staging, self.folder(number))
        sync(self._versions)
        self._append(entry(number))
        return number, False

  def transact(
    self, decide: Callable[[State], list[AuditEntry]]
  ) -> tuple[State, list[AuditEntry]]:
    """Applies the log lines that `decide` makes of the present state.

    Nobody else writes between the two. `decide` may raise.
    """
    if not self.exists():
      return State(versions=frozenset(), aliases={}), decide(
        State(versions=frozenset(), aliases={})
      )
    with self._locked():
      pointers = self.aliases().sound()
      state = State(versions=frozenset(self.numbers()), aliases=pointers)
      entries = decide(state)
      for entry in entries:
        if entry.alias is not None:
          plain = {
            "alias": entry.alias,
            "version": entry.to_version,
            "digest": entry.digest,
            "moved_at": entry.at,
            "moved": entry.to_plain(),
          }
          text = json.dumps(plain, indent=2) + "\n"
          write_atomically(self._aliases / f"{entry.alias}.json", text)
          sync(self._aliases)
        self._append(entry)
        if entry.action == "gc" and entry.from_version is not None:
          self._remove(entry.from_version)
    return state, entries

  def _remove(self, number: int) -> None:
    """Gone in one move: nobody sees a version without half of its files."""
    self._staging.mkdir(exist_ok=True)
    gone = self._staging / uuid.uuid4().hex
    os.rename(self.folder(number), gone)
    _remove_tree(self._signatures / str(number))
    _remove_tree(gone)  # else `sweep` does

  def sweep(self, dry_run: bool = False) -> list[str]:
    """Removes what killed writers left; what a living one works on stays.

    Returns:
      The paths, removed or (dry run) to be removed.
    """
    found = []
    for path in sorted(self._staging.glob("*")):
      with contextlib.suppress(FileNotFoundError):
        folder = os.open(path, os.O_RDONLY)
        try:
          fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
          found.append(str(path))
          if not dry_run:
            shutil.rmtree(path)
        except BlockingIOError:  # its writer lives
          continue
        finally:
          os.close(folder)
    if self.exists():
      with contextlib.nullcontext() if dry_run else self._locked():
        kept = set(map(str, self._taken()))
        signed = [path for path in self._signatures.glob("*") if not path.is_symlink()]
        orphans = [path for path in signed if path.name not in kept]
        unfinished = [path for folder in signed for path in folder.glob(".*.tmp")]
        for path in sorted([*self._aliases.glob(".*.tmp"), *unfinished, *orphans]):
          found.append(str(path))
          if not dry_run:
            _remove_tree(path)
    return found

  @contextlib.contextmanager
  def _staging_folder(self) -> Iterator[Path]:
    """A hidden folder that `sweep` leaves alone as long as we live."""
    while True:
      path = self._staging / uuid.uuid4().hex
      path.mkdir()
      try:
        folder = os.open(path, os.O_RDONLY)
      except FileNotFoundError:  # swept before it was locked
        continue
      fcntl.flock(folder, fcntl.LOCK_EX)
      if path.exists():
        break
      os.close(folder)
    try:
      yield path
    finally:
      shutil.rmtree(path, ignore_errors=True)
      os.close(folder)

  @contextlib.contextmanager
  def _locked(self) -> Iterator[None]:
    with open(self._root / ".lock", "a", encoding="utf-8") as file:
      deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
      while True:
        try:
          fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
          break
        except BlockingIOError:
          if time.monotonic() > deadline:
            raise RuntimeError(
              f"another process has held {file.name} for {LOCK_TIMEOUT_SECONDS} s"
            ) from None
          time.sleep(_POLL_SECONDS)
      self._recover()
      yield

  def _recover(self) -> None:
    """Writes the lines that a killed writer owed for what it had done."""
    if self._audit.exists():
      with open(self._audit, "rb+") as file:
        text = file.read()
        if not text.endswith(b"\n"):
          file.truncate(text.rfind(b"\n") + 1)
    entries = self.entries()
    added = {entry.to_version for entry in entries if entry.action == "add"}
    removed = {entry.from_version for entry in entries if entry.action == "gc"}
    for number in self.numbers():
      if number in removed:
        self._remove(number)
      elif number not in added:
        with contextlib.suppress(RuntimeError):  # damaged, as `verify` says
          self._append(self._lost_entry(number))
    ids = {entry.id for entry in entries}
    for path in sorted(self._aliases.glob("[!.]*.json")):
      with contextlib.suppress(RuntimeError, OSError):  # as `verify` says
        moved = parse_entry(parse_object(path.read_bytes(), "").get("moved"), "")
        if moved.id not in ids:
          self._append(moved)

  def _lost_entry(self, number: int) -> AuditEntry:
    manifest = parse_manifest(
      self.read(number, MANIFEST), str(self.folder(number) / MANIFEST)
    )
    return added_entry(number, manifest)

  def _digest(self, number: int) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
      return json.loads(self.read(number, MANIFEST))["digest"]
    return ""  # damaged: equal to nothing, and `verify` says so

  def _append(self, entry: AuditEntry) -> None:
    line = json.dumps(entry.to_plain(), sort_keys=True) + "\n"
    with open(self._audit, "ab") as file:
      file.write(line.encode())
      file.flush()
      os.fsync(file.fileno())
    sync(self._root)


def _is_signature(path: Path) -> bool:
  """No link, no pipe, and not the size of something else."""
  facts = path.lstat()
  return stat.S_ISREG(facts.st_mode) and facts.st_size <= MAX_SIGNATURE_BYTES


def _remove_tree(path: Path) -> None:
  """A link goes, and not what it leads to."""
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)
