"""The manifest of a set: which files, how long, which SHA-256, which counts.

It is written last and in one move, so a folder with a manifest is complete and
a folder without one is not; readers refuse the latter. In a bucket the files lie in a
folder that the manifest names, so that a new set can be made beside the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hardmine.schemas.files import write_atomically
from hardmine.schemas.folders import Folder, LocalFolder, folder

MANIFEST_NAME = "manifest.json"
SCRATCH = "scratch"  # the folder of what a job needs while it runs

Files = Mapping[str, Mapping[str, Any]]  # by name, as `file_facts` says of each


def file_facts(place: Folder, name: str) -> dict[str, Any]:
  """What a manifest says of a file: `sha256` in hex digits and `bytes`."""
  digest, size = hashlib.sha256(), 0
  for piece in place.pieces(name):
    digest.update(piece)
    size += len(piece)
  return {"sha256": digest.hexdigest(), "bytes": size}


def make_manifest(files: Files, **facts: Any) -> tuple[dict[str, Any], bytes]:
  """The manifest and its text.

  Args:
    files: by name, as `file_facts` gives them.
    **facts: JSON values to record beside the files, such as `counts`.
  """
  manifest = {"files": dict(sorted(files.items())), **facts}
  text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
  return json.loads(text), text.encode()


def write_manifest(
  directory: str | os.PathLike, paths: Iterable[str], **facts: Any
) -> dict[str, Any]:
  """Hashes the files of a local folder and commits their list.

  Args:
    directory: the folder; the manifest becomes its `manifest.json`.
    paths: relative to `directory`, any order.
    **facts: as in `make_manifest`.

  Returns:
    The manifest as written.
  """
  place = LocalFolder(os.fspath(directory))
  files = {path: file_facts(place, path) for path in paths}
  manifest, text = make_manifest(files, **facts)
  write_atomically(Path(directory, MANIFEST_NAME), text)
  return manifest


def read_manifest(directory: str | os.PathLike) -> dict[str, Any]:
  """The manifest of a set, after checking every file against it.

  Args:
    directory: a path or a URL.

  Raises:
    RuntimeError: no manifest, or a file is missing, short or changed.
  """
  place = folder(directory)
  try:
    manifest = json.loads(place.read(MANIFEST_NAME))
  except FileNotFoundError as error:
    raise RuntimeError(
      f"{place.url} has no {MANIFEST_NAME}: it is incomplete; make it again"
    ) from error
  for name, facts in manifest["files"].items():
    found = file_facts(place, name) if place.exists(name) else None
    if found is None or found["bytes"] != facts["bytes"]:
      raise RuntimeError(
        f"{place.at(name)} is missing or cut short; make {place.url} again"
      )
    if found["sha256"] != facts["sha256"]:
      raise RuntimeError(
        f"{place.at(name)} differs from its manifest; make {place.url} again"
      )
  return manifest


def name_in(manifest: Mapping[str, Any], name: str) -> str:
  """What a manifest calls a file, whichever folder it lies in."""
  return next(
    (path for path in manifest["files"] if path.rpartition("/")[2] == name), name
  )
