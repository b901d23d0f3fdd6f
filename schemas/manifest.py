"""The manifest of a folder: which files, how long, which SHA-256, which counts.

It is written last and in one move, so a folder with a manifest is complete and
a folder without one is not; readers refuse the latter.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hardmine.schemas.files import sha256_of, write_atomically

MANIFEST_NAME = "manifest.json"


def write_manifest(
  directory: str | os.PathLike, paths: list[str], **facts: Any
) -> dict[str, Any]:
  """Hashes files and commits their list.

  Args:
    directory: the folder; the manifest becomes its `manifest.json`.
    paths: relative to `directory`, any order.
    **facts: JSON values to record beside the files, such as `counts`.

  Returns:
    The manifest as written.
  """
  directory = Path(directory)
  manifest = {
    "files": {
      path: {
        "sha256": sha256_of(directory / path),
        "bytes": (directory / path).stat().st_size,
      }
      for path in sorted(paths)
    },
    **facts,
  }
  write_atomically(
    directory / MANIFEST_NAME, json.dumps(manifest, indent=2, sort_keys=True) + "\n"
  )
  return manifest


def read_manifest(directory: str | os.PathLike) -> dict[str, Any]:
  """The manifest of a folder, after checking every file against it.

  Raises:
    RuntimeError: no manifest, or a file is missing, short or changed.
  """
  directory = Path(directory)
  path = directory / MANIFEST_NAME
  if not path.is_file():
    raise RuntimeError(
      f"{directory} has no {MANIFEST_NAME}: it is incomplete; make it again"
    )
  manifest = json.loads(path.read_text("utf-8"))
  for name, facts in manifest["files"].items():
    file = directory / name
    if not file.is_file() or file.stat().st_size != facts["bytes"]:
      raise RuntimeError(f"{file} is missing or cut short; make {directory} again")
    if sha256_of(file) != facts["sha256"]:
      raise RuntimeError(f"{file} differs from its manifest; make {directory} again")
  return manifest
