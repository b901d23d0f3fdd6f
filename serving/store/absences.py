"""What a store's log and aliases speak of and is not there any more."""

from __future__ import annotations

import dataclasses

from hardmine.serving.store.catalogue import Catalogue


@dataclasses.dataclass(frozen=True, kw_only=True)
class Absences:
  """What is missing in a store, or cannot be read.

  Attributes:
    versions: number to a line, of versions that were added, removed by no `gc`, and
      are not there.
    aliases: name to a line, of aliases that hold such a version or cannot be read.
    log: what is wrong with the log, None where it can be read.
  """

  versions: dict[int, str]
  aliases: dict[str, str]
  log: str | None


def absences(store: Catalogue) -> Absences:
  """Holds what is there against the log and the aliases; no version is opened.

  Raises:
    OSError: the store cannot be reached.
  """
  there, log = set(store.versions()), None
  try:
    entries = store.audit()
  except PermissionError as error:
    entries, log = [], f"{error.filename} cannot be read: {error.strerror}"
  except RuntimeError as error:
    entries, log = [], str(error)
  removed = {entry.from_version for entry in entries if entry.action == "gc"}
  added = {entry.to_version for entry in entries if entry.action == "add"}
  versions = {
    number: "it is missing: the log says that it was added, and no gc removed it"
    for number in added - removed - there
    if number is not None
  }
  found = store.all_aliases()
  aliases = dict(found.faults)
  for name, pointer in found.pointers.items():
    if pointer.version not in there:
      aliases[name] = f"{name} names version {pointer.version}, which is missing"
      versions.setdefault(pointer.version, f"it is missing, and {name} names it")
  return Absences(versions=versions, aliases=aliases, log=log)
