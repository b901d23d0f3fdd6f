"""The manifest of a folder: which files, how long, which SHA-256, which counts.

It is written last and in one move, so a folder with a manifest is complete and
a folder without one is not; readers refuse the latter.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

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


def sha256_of(path: str | os.PathLike) -> str:
  """Hex SHA-256 of a file, read in pieces."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while piece := file.read(1 << 20):
      digest.update(piece)
  return digest.hexdigest()


def write_atomically(
  path: str | os.PathLike, content: str | bytes, *, durable: bool = True
) -> None:
  """Writes a file that is either absent (or old) or whole, even after a crash.

  Args:
    path: of the file.
    content: of the file.
    durable: False spares the wait for the disk, tens of milliseconds on a busy one:
      for what can be made again should the machine, not the process, go down.
  """
  path = Path(path)
  staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
  try:
    with open(staged, "wb") as file:
      file.write(content.encode("utf-8") if isinstance(content, str) else content)
      if durable:
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)
  finally:
    staged.unlink(missing_ok=True)
