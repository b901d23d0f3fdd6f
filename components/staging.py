"""An output folder that appears whole or not at all.

Everything is made in a hidden folder beside the output, which gets its name in one
move at the end.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType

from schemas.config import require


class StagedFolder:
  """`with StagedFolder(output_dir) as staging:` publishes what was made in `staging`.

  An exception in the block, an interrupt too, removes the staging folder and leaves
  the output as it was.

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
