"""Files and folders that are whole or not there, and what they hold in short."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType

from hardmine.schemas.config import require


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


class StagedFolder:
  """`with StagedFolder(output_dir) as staging:` publishes what was made in `staging`.

  That is a hidden folder beside the output, which gets its name in one move at the end.
  An exception in the block, an interrupt too, removes it and leaves the output as it
  was.

  Attributes:
    output: the absolute path of the output.
  """

  def __init__(
    self,
    output_dir: str | os.PathLike,
    *,
    overwrite: bool = False,
    remedy: str = " (or --overwrite)",
  ):
    """Looks only; nothing is made before the block is entered.

    Args:
      output_dir: a folder that does not exist or is empty, on storage that every
        worker sees.
      overwrite: replaces an output that has content.
      remedy: for the error; empty where nobody is to overwrite anything.

    Raises:
      ValueError: a URL, or the output has content.
    """
    require(
      "://" not in str(output_dir),
      "an output folder on this machine or a mounted one",
      output=str(output_dir),
    )
    self.output = Path(os.path.abspath(output_dir))
    require(
      overwrite
      or not self.output.exists()
      or (self.output.is_dir() and not any(self.output.iterdir())),
      f"an output folder that does not exist or is empty{remedy}",
      output=str(output_dir),
    )
    name = f".{self.output.name}.staging-{uuid.uuid4().hex[:8]}"
    self._staging = self.output.with_name(name)

  def __enter__(self) -> Path:
    self._staging.mkdir(parents=True)
    return self._staging

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    try:
      if kind is None:
        self._publish()
    finally:
      shutil.rmtree(self._staging, ignore_errors=True)

  def _publish(self) -> None:
    replaced = self._staging.with_name(f"{self._staging.name}-replaced")
    if self.output.exists():
      os.rename(self.output, replaced)
    try:
      os.rename(self._staging, self.output)
    except OSError:
      if replaced.exists():
        os.rename(replaced, self.output)
      raise
    shutil.rmtree(replaced, ignore_errors=True)
