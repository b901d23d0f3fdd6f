"""JSON of a store, checked: what parses and is not what was written is damage, too."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from hardmine.serving.store.entries import AuditEntry, Pointer

_TEXT, _NUMBER = (str,), (int, type(None))
_FIELDS: dict[str, tuple[type, ...]] = {
  **dict.fromkeys(("at", "who", "action", "why", "id"), _TEXT),
  **dict.fromkeys(("alias", "digest", "override"), (str, type(None))),
  **dict.fromkeys(("from_version", "to_version"), _NUMBER),
  "details": (dict,),
}
_LINE = {"entries": list, "aliases": dict, "logged": list, "removed": list}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aliases:
  """All aliases of a store, those included that nobody can read.

  Attributes:
    pointers: alias to what it holds.
    faults: alias to what is wrong with it, in one line.
  """

  pointers: dict[str, Pointer]
  faults: dict[str, str]

  def sound(self) -> dict[str, Pointer]:
    """All of them: what may be removed or moved cannot be told from a part.

    Raises:
      RuntimeError: one cannot be read.
    """
    for fault in self.faults.values():
      raise RuntimeError(fault)
    return self.pointers


def parse_object(text: str | bytes, where: str) -> dict[str, Any]:
  """A JSON object.

  Raises:
    RuntimeError: it is none; the line begins with `where`.
  """
  try:
    plain = json.loads(text)
  except ValueError as error:
    raise RuntimeError(f"{where} is damaged: {error}") from error
  if not isinstance(plain, dict):
    raise RuntimeError(f"{where} is damaged: it holds no JSON object")
  return plain


def parse_entry(plain: object, where: str) -> AuditEntry:
  """A line of the log.

  Raises:
    RuntimeError: it is none; the line begins with `where`.
  """
  if not isinstance(plain, dict):
    raise RuntimeError(f"{where} is damaged: it holds no JSON object")
  for name, types in _FIELDS.items():
    if name in plain and not _is_one_of(plain[name], types):
      raise RuntimeError(f"{where} is damaged: its {name} is {plain[name]!r}")
  try:
    return AuditEntry.from_plain(plain)
  except TypeError as error:  # a field is missing
    raise RuntimeError(f"{where} is damaged: {error}") from error


def parse_log(text: bytes, where: str) -> list[AuditEntry]:
  """A log of a line an entry; one that its writer did not finish is no line.

  Raises:
    RuntimeError: a line is damaged; its number is named.
  """
  entries = []
  for number, line in enumerate(text[: text.rfind(b"\n") + 1].split(b"\n"), start=1):
    if line.strip():  # an editor leaves a blank one
      place = f"{where}, line {number},"
      entries.append(parse_entry(parse_object(line, place), place))
  return entries


def parse_line(text: bytes, where: str) -> dict[str, Any]:
  """An object of an object store's log, which also holds all aliases as of then.

  Raises:
    RuntimeError: it is none; the line begins with `where`.
  """
  line = parse_object(text, where)
  for name, kind in _LINE.items():
    if not isinstance(line.get(name), kind):
      raise RuntimeError(f"{where} is damaged: its {name} is {line.get(name)!r}")
  if not all(isinstance(n, int) for n in (*line["logged"], *line["removed"])):
    raise RuntimeError(f"{where} is damaged: a version is no number")
  for alias, plain in line["aliases"].items():
    parse_pointer(plain, f"{where} ({alias})")
  return line


def parse_pointer(plain: object, where: str) -> Pointer | None:
  """What an alias holds, None where it was removed.

  Raises:
    RuntimeError: it says nothing that an alias can; the line begins with `where`.
  """
  missing = {"version", "digest", "moved"}
  missing -= plain.keys() if isinstance(plain, dict) else set()
  if not isinstance(plain, dict) or missing:
    raise RuntimeError(
      f"{where} is damaged: it does not say {', '.join(sorted(missing))} (what it held "
      "is in the log: `hardmine models history`)"
    )
  moved = parse_entry(plain["moved"], where)
  version, digest = plain["version"], plain["digest"]
  if version is None:
    return None
  if not _is_one_of(version, (int,)) or not isinstance(digest, str):
    raise RuntimeError(f"{where} is damaged: its version is {version!r} of {digest!r}")
  return Pointer(version=version, digest=digest, moved=moved)


def read_aliases(folder: Path) -> Aliases:
  """The aliases of a folder with a file each.

  Raises:
    OSError: the folder cannot be read: then there may be any.
  """
  pointers, faults = {}, {}
  try:
    names = sorted(os.listdir(folder))
  except FileNotFoundError:
    names = []
  for path in (folder / name for name in names):
    if path.suffix != ".json" or path.name.startswith("."):
      continue
    try:
      pointer = parse_pointer(parse_object(path.read_bytes(), str(path)), str(path))
    except OSError as error:  # one that only its owner may read, say
      faults[path.stem] = f"{path} cannot be read: {error.strerror}"
    except RuntimeError as error:
      faults[path.stem] = str(error)
    else:
      if pointer is not None:
        pointers[path.stem] = pointer
  return Aliases(pointers=pointers, faults=faults)


def _is_one_of(value: object, types: tuple[type, ...]) -> bool:
  return isinstance(value, types) and not isinstance(value, bool)
