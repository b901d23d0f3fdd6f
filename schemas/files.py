"""Files that are whole or not there, and what they hold in short."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


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
