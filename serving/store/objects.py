"""A store in an object store, on what every one of them can do: create an object once.

    claims/N.json         who took the number N; stays for ever
    versions/N/           the files, saved_model.pb last
    commits/N.json        the manifest; with it the version is complete
    signatures/N/KEY.sig  who vouches for a version
    audit/SEQUENCE.json   the log; each object also holds all aliases as of then
    aliases/NAME.json     a copy for people and their scripts, written after the log

The next line of the log is created only if it does not exist, so it is the
compare-and-swap that every change goes through: of two writers one finds it taken and
looks again. What is created is read back, which tells a lost answer from a lost race.
(A file system of fsspec that ignores `mode="create"` leaves a window of one request.)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardmine.schemas.bucket import Bucket
from hardmine.schemas.exported_model import GRAPH
from hardmine.serving.store.commits import Commits, manifest_bytes
from hardmine.serving.store.contents import (
  MANIFEST,
  added_entry,
  check_files,
)
from hardmine.serving.store.entries import AuditEntry, Pointer, State
from hardmine.serving.store.parsing import (
  Aliases,
  parse_entry,
  parse_line,
  parse_pointer,
)
from hardmine.serving.store.storage import Decide

MAX_ATTEMPTS = 100  # at one line of the log, against other writers
_PIECE_BYTES = 1 << 20


class ObjectStorage:
  """Objects below a URL.

  Args:
    url: that fsspec knows; missing packages are named when it is used.
  """

  def __init__(self, url: str):
    self.url = url
    self._bucket = Bucket.at_url(url)
    self._commits = Commits(self._bucket, url)
    self._removed: set[int] | None = None  # as of the last line that was read

  def exists(self) -> bool:
    """Whether a number was ever taken."""
    return bool(self._bucket.names("claims"))

  def numbers(self) -> list[int]:
    """Versions with a commit, without those whose removal has begun."""
    _, last = self._last_line()
    return sorted(self._commits.completed() - set(last["removed"]))

  def read(self, number: int, path: str) -> bytes:
    """A file of a version; the manifest as it was committed."""
    if path != MANIFEST:
      return self._bucket.read(f"versions/{number}/{path}")
    if self._removed is None:
      self._last_line()
    if number in (self._removed or ()):
      raise FileNotFoundError(f"{self.url}/versions/{number}")
    return manifest_bytes(self._commits.manifest(number))

  def check(self, number: int, manifest: dict[str, Any]) -> None:
    """Reads every object and holds it against the manifest."""
    where = f"{self.url}/versions/{number}"
    for path, facts in manifest["files"].items():
      digest = hashlib.sha256()
      try:
        for piece in self._bucket.pieces(f"versions/{number}/{path}", _PIECE_BYTES):
          digest.update(piece)
      except FileNotFoundError:
        raise RuntimeError(f"{where}/{path} is missing") from None
      if digest.hexdigest() != facts["sha256"]:
        raise RuntimeError(f"{where}/{path} differs from its SHA-256 in {MANIFEST}")
    found = self._bucket.tree(f"versions/{number}")
    extra = sorted(found - manifest["files"].keys() - {MANIFEST})
    if extra:
      raise RuntimeError(f"{where}/{extra[0]} is not in {MANIFEST}")

  def fetch(self, number: int, manifest: dict[str, Any]) -> Path:
    """A checked copy in the user's cache, named by what it holds."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    # Not the digest: lineage is no part of that, and it differs between stores.
    name = hashlib.sha256(manifest_bytes(manifest)).hexdigest()
    target = Path(base, "hardmine", "models", name)
    if target.is_dir():
      try:
        check_files(target, manifest)
        return target
      except RuntimeError:  # a damaged copy is fetched anew
        shutil.rmtree(target, ignore_errors=True)
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
      for path in manifest["files"]:
        (staging / path).parent.mkdir(parents=True, exist_ok=True)
        self._bucket.download(f"versions/{number}/{path}", staging / path)
      (staging / MANIFEST).write_bytes(manifest_bytes(manifest))
      check_files(staging, manifest)
      try:
        os.rename(staging, target)
      except OSError:  # another process was first; its copy is as good
        check_files(target, manifest)
    except FileNotFoundError as error:
      raise RuntimeError(f"{self.url}/versions/{number} lacks {error}") from error
    finally:
      shutil.rmtree(staging, ignore_errors=True)
    return target

  def signatures(self, number: int) -> dict[str, bytes]:
    """Of a version: name of the key to signature."""
    folder = f"signatures/{number}"
    names = [name for name in self._bucket.names(folder) if name.endswith(".sig")]
    found = self._bucket.read_all([f"{folder}/{name}" for name in names])
    return {
      name.removesuffix(".sig"): found[f"{folder}/{name}"] for name in sorted(names)
    }

  def write_signature(self, number: int, key: str, content: bytes) -> None:
    """Replaces what the key has signed before."""
    self._bucket.write(f"signatures/{number}/{key}.sig", content)

  def aliases(self) -> Aliases:
    """Every alias, as of the last line of the log."""
    return Aliases(pointers=_pointers(self._last_line()[1]), faults={})

  def entries(self) -> list[AuditEntry]:
    """The log."""
    names = sorted(self._bucket.names("audit"))
    lines = self._bucket.read_all([f"audit/{name}" for name in names])
    return [
      parse_entry(plain, self._where(name))
      for name in names
      for plain in self._parse_line(name, lines[f"audit/{name}"])["entries"]
    ]

  def add(
    self,
    model_dir: Path,
    documents: dict[str, bytes],
    manifest: dict[str, Any],
    entry: Callable[[int], AuditEntry],
  ) -> tuple[int, bool]:
    """Uploads under a number of its own and commits."""
    kept = set(self.numbers())
    for number, known in self._commits.sound().items():
      if number in kept and known["digest"] == manifest["digest"]:
        return number, True
    for _ in range(MAX_ATTEMPTS):
      taken = {*self._bucket.numbers("claims"), *self._bucket.numbers("commits")}
      number = 1 + max(taken, default=0)
      claim = {"by": manifest["added"], "at": manifest["created_at"]}
      if not self._bucket.create(f"claims/{number}.json", claim):
        continue
      self._upload(number, model_dir, documents, manifest)
      if self._commits.create(number, manifest):
        self.transact(lambda state: [])  # writes the line that is owed
        return number, False
      # `sweep` took us for dead: once more, under another number.
    raise RuntimeError(f"{self.url}: no number was free in {MAX_ATTEMPTS} attempts")

  def _upload(
    self,
    number: int,
    model_dir: Path,
    documents: dict[str, bytes],
    manifest: dict[str, Any],
  ) -> None:
    folder = f"versions/{number}"
    contents = {**documents, MANIFEST: manifest_bytes(manifest)}
    order = sorted({*manifest["files"], MANIFEST}, key=lambda path: path == GRAPH)
    for path in order:
      if path in contents:
        self._bucket.write(f"{folder}/{path}", contents[path])
        continue
      self._bucket.upload(model_dir / path, f"{folder}/{path}")
      found, facts = self._bucket.size(f"{folder}/{path}"), manifest["files"][path]
      if found != facts["bytes"]:
        raise RuntimeError(
          f"{self.url}/{folder}/{path} has {found} bytes, not {facts['bytes']}"
        )

  def transact(self, decide: Decide) -> tuple[State, list[AuditEntry]]:
    """Creates the next line of the log, or looks again where somebody was first."""
    for _ in range(MAX_ATTEMPTS):
      sequence, last = self._last_line()
      committed = self._commits.completed()
      state = State(
        versions=frozenset(committed - set(last["removed"])),
        aliases=_pointers(last),
      )
      owed = [
        added_entry(number, manifest)
        for number, manifest in sorted(self._commits.sound().items())
        if number not in last["logged"]
      ]
      entries = decide(state)
      if not owed and not entries:
        return state, entries
      line = _next_line(last, [*owed, *entries])
      if self._bucket.create(f"audit/{sequence + 1:010}.json", line):
        self._follow(entries)
        return state, entries
      self._bucket.pause()
    raise RuntimeError(f"{self.url}: other writers were first {MAX_ATTEMPTS} times")

  def _follow(self, entries: list[AuditEntry]) -> None:
    """What the log already says: copies of the aliases, removal of files."""
    for entry in entries:
      if entry.action == "gc" and entry.from_version is not None:
        self._remove(entry.from_version)
      elif entry.alias is not None:
        self._copy_alias(entry.alias)

  def _copy_alias(self, alias: str) -> None:
    """Writes until the copy is of the last line: others write copies as well."""
    written = None
    while True:
      plain = self._last_line()[1]["aliases"].get(alias)
      if plain == written and written is not None:
        return
      if plain is None:
        self._bucket.remove(f"aliases/{alias}.json")
        return
      content = {"alias": alias, **plain, "moved_at": plain["moved"]["at"]}
      text = json.dumps(content, indent=2) + "\n"
      self._bucket.write(f"aliases/{alias}.json", text.encode())
      written = plain

  def sweep(self, dry_run: bool = False) -> list[str]:
    """Removes unfinished uploads; one that is still going on begins anew."""
    claimed, committed = set(self._bucket.numbers("claims")), self._commits.completed()
    removed = set(self._last_line()[1]["removed"])
    found = []
    for number in sorted(claimed - (committed - removed)):
      if not any(self._bucket.tree(folder) for folder in _folders(number)):
        continue
      found.append(f"{self.url}/versions/{number}")
      if dry_run:
        continue
      if (
        number in removed
        or self._commits.create(number, None)
        or number not in self._commits.completed()
      ):
        self._remove(number)
    return found

  def _remove(self, number: int) -> None:
    """The graph first, lest a server begins to load the rest."""
    self._bucket.remove(f"versions/{number}/{GRAPH}")
    for folder in _folders(number):
      for path in self._bucket.tree(folder):
        self._bucket.remove(f"{folder}/{path}")

  def _last_line(self) -> tuple[int, dict[str, Any]]:
    sequence = max(self._bucket.numbers("audit"), default=0)
    if sequence == 0:
      self._removed = set()
      return 0, {"entries": [], "aliases": {}, "logged": [], "removed": []}
    name = f"{sequence:010}.json"
    line = self._parse_line(name, self._bucket.read(f"audit/{name}"))
    self._removed = set(line["removed"])
    return sequence, line

  def _parse_line(self, name: str, text: bytes) -> dict[str, Any]:
    return parse_line(text, self._where(name))

  def _where(self, name: str) -> str:
    return f"{self.url}/audit/{name}"


def _folders(number: int) -> tuple[str, str]:
  """What lies there for a version alone."""
  return f"versions/{number}", f"signatures/{number}"


def _pointers(line: dict[str, Any]) -> dict[str, Pointer]:
  found = {alias: parse_pointer(p, alias) for alias, p in line["aliases"].items()}
  return {alias: pointer for alias, pointer in found.items() if pointer is not None}


def _next_line(last: dict[str, Any], entries: list[AuditEntry]) -> dict[str, Any]:
  aliases = dict(last["aliases"])
  logged, removed = set(last["logged"]), set(last["removed"])
  for entry in entries:
    if entry.action == "add":
      logged.add(entry.to_version)
    elif entry.action == "gc":
      removed.add(entry.from_version)
    elif entry.to_version is None:
      aliases.pop(entry.alias or "", None)
    elif entry.alias is not None:
      aliases[entry.alias] = {
        "version": entry.to_version,
        "digest": entry.digest,
        "moved": entry.to_plain(),
      }
  return {
    "entries": [entry.to_plain() for entry in entries],
    "aliases": aliases,
    "logged": sorted(logged),
    "removed": sorted(removed),
  }
