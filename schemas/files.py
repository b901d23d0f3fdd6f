"""Files that are whole or not there, and what they hold in short."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def sha256_of(path: str | os.PathLike) -> str:
  """Hex SHA-256 of a file, read in pieces."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while piece := file.read(1 << 20):
      digest.update(piece)
  return digest.hexdigest()


_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
  """Has errors of the disk, such as a full one's, say which file is being written."""
  try:
    yield
  except OSError as error:
    if error.errno not in _OF_THE_DISK or error.filename is not None:
      raise
    raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_atomically(
  path: str | os.PathLike, content: str | bytes, *, durable: bool = True
) -> None:
  """Writes a file that is either absent (or old) or whole, even after a crash.

  Args:
    path: of the file.
    content: of the file.
    durable: False spares the wait for the disk, tens of milliseconds on a busy one:
      for what can be made again should the machine, not the process, go down.

  Raises:
    OSError: it cannot be written; what was there stays.
  """
  path = Path(path)
  staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
  try:
    with naming(path), open(staged, "wb") as file:
      file.write(content.encode("utf-8") if isinstance(content, str) else content)
      if durable:
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)
  finally:
    staged.unlink(missing_ok=True)
