"""What a command may replace: one rule for every file and folder that people name.

What is there goes only where that was asked for, only if it is of the kind that is
written there, and never if it is, or holds, something that is read. The new thing is
whole before the old one goes. A link stays a link: the rule is asked of what it leads
to, and that is written.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically
from hardmine.schemas.manifest import MANIFEST_NAME
from hardmine.schemas.staging import ASIDE, make_locked, put_back, staging_path, sweep

# Kinds of folders, as their manifests say.
PATCHES = "patches"
ANNOTATED_IMAGES = "annotated_images"
DETECTIONS = "detections"
STREAMS = "streams"


@dataclasses.dataclass(frozen=True)
class FileKind:
  """A kind of file that a command writes, told by its content.

  Attributes:
    name: in words, such as `an image`.
    pattern: matches the beginning of every file of the kind.
  """

  name: str
  pattern: re.Pattern[bytes]

  def holds(self, path: Path) -> bool:
    """Whether a file is of this kind, or empty: then nothing is lost with it."""
    content = path.read_bytes()
    return not content or self.pattern.match(content) is not None


class OutputFile:
  """A file that a command is to write, checked before any long work.

  Attributes:
    path: where it will lie, links followed.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    kind: FileKind,
    *,
    overwrite: bool = False,
    sources: Iterable[str | os.PathLike] = (),
    makes_folder: bool = False,
  ):
    """Looks only; nothing is written.

    Args:
      path: as it was given.
      kind: what is written, and what alone is replaced.
      overwrite: whether a file that is there may be replaced.
      sources: what is read.
      makes_folder: its folder need not exist.

    Raises:
      ValueError: its folder does not exist, something other than a file is there
        (replacing `/dev/null` would succeed, as root), it is a source, or a file that
        may not be replaced.
    """
    self.path = Path(os.path.realpath(path))
    self._given, self._kind = str(path), kind
    self._overwrite, self._makes_folder = overwrite, makes_folder
    self._sources = tuple(sources)
    self._check()

  def write(self, content: str | bytes) -> None:
    """Writes it atomically, after another look: minutes may have gone by.

    Raises:
      ValueError: as when it was first looked at.
      OSError: it cannot be written.
    """
    self._check()
    if self._makes_folder:
      self.path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(self.path, content)

  def _check(self) -> None:
    given = self._given
    require(
      self._makes_folder or self.path.parent.is_dir(),
      "a folder that exists",
      path=given,
    )
    if not os.path.lexists(self.path):
      return
    require(self.path.is_file(), "a file, or nothing, there", path=given)
    require(
      not any(_is_same(self.path, source) for source in self._sources),
      "another file than the one that is read",
      path=given,
    )
    require(self._overwrite, "a new name, or --overwrite", path=given)
    require(
      self._kind.holds(self.path),
      f"{self._kind.name}, which alone is replaced; choose a new name",
      path=given,
    )


def check_folder(path: str | os.PathLike) -> None:
  """Raises ValueError where files are to go into something that is no folder."""
  require(
    os.path.isdir(path) or not os.path.lexists(path),
    "a folder, or nothing, there",
    output=str(path),
  )


class StagedFolder:
  """`with StagedFolder(output_dir) as staging:` publishes what was made in `staging`.

  That is a hidden folder beside the output, which gets its name in one move at the end.
  An exception in the block, an interrupt too, removes it and leaves the output as it
  was. What a killed process of this machine left of an earlier try is removed.

  Attributes:
    output: the absolute path of the output, links followed.
  """

  def __init__(
    self,
    output_dir: str | os.PathLike,
    *,
    overwrite: bool = False,
    kind: str | None = None,
    remedy: str = " (or --overwrite)",
  ):
    """Looks only; nothing is made before the block is entered.

    One thing is put back: an output that a killed process had moved aside, in the
    instant before the new one got its name.

    Args:
      output_dir: a folder that does not exist or is empty, on storage that every
        worker sees.
      overwrite: replaces an output that holds nothing but what its manifest names.
      kind: what that manifest must say; None replaces nothing, whatever `overwrite`.
      remedy: for the error; empty where nobody is to overwrite anything.

    Raises:
      ValueError: a URL, a file, the folder that one stands in, or a folder whose
        content may not be replaced.
    """
    require(
      "://" not in str(output_dir),
      "an output folder on this machine or a mounted one",
      output=str(output_dir),
    )
    self.output = Path(os.path.realpath(output_dir))
    self._kind = kind if overwrite else None
    self._remedy = remedy
    put_back(self.output)
    problem = self._problem()
    require(problem is None, str(problem), output=str(output_dir))
    self._staging = staging_path(self.output)
    self._lock = -1

  def __enter__(self) -> Path:
    sweep(self.output)
    self._lock = make_locked(self._staging)
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
      if self._lock >= 0:
        os.close(self._lock)

  def _problem(self) -> str | None:
    """What would have to be there instead, None where all is well."""
    if not os.path.lexists(self.output):
      return None
    if not self.output.is_dir():
      return "an output folder, and no file"
    if any(self.output.iterdir()):
      if self._kind is None:
        return f"an output folder that does not exist or is empty{self._remedy}"
      foreign = _foreign(self.output, self._kind)
      if foreign is not None:
        return (
          f"an output folder that is new, empty, or holds {self._kind} made before "
          f"and nothing else ({foreign})"
        )
    if _is_around_us(self.output):  # who stands there would lose it
      return "an output folder that is not the current one, nor around it"
    return None

  def _publish(self) -> None:
    problem = self._problem()
    if problem is not None:  # somebody put something there meanwhile
      kept = self.output.with_name(f"{self.output.name}-{uuid.uuid4().hex[:8]}")
      os.rename(self._staging, kept)
      raise RuntimeError(
        f"{self.output} has changed since the start, and was left as it is: what was "
        f"made lies in {kept}"
      )
    replaced = self._staging.with_name(self._staging.name + ASIDE)
    if self.output.exists():
      os.rename(self.output, replaced)
    try:
      os.rename(self._staging, self.output)
    except OSError:
      if replaced.exists():
        os.rename(replaced, self.output)
      raise
    shutil.rmtree(replaced, ignore_errors=True)


def _is_same(path: Path, source: str | os.PathLike) -> bool:
  try:
    return path.samefile(source)
  except OSError:  # the source is missing, as whoever reads it will say
    return False


def _is_around_us(folder: Path) -> bool:
  try:
    return Path.cwd().is_relative_to(folder)
  except FileNotFoundError:  # the current folder is gone already
    return False


def _foreign(folder: Path, kind: str) -> str | None:
  """Why not all of a folder is ours to replace, None where it is."""
  manifest = _manifest(folder)
  if manifest is None or manifest.get("kind", kind) != kind:
    return f"there is no {MANIFEST_NAME} of {kind}"
  files = {MANIFEST_NAME, *manifest["files"]}
  folders = {str(parent) for file in files for parent in Path(file).parents}
  for parent, inner, names in os.walk(folder):
    for name in (*inner, *names):
      path = os.path.join(parent, name)
      ours = folders if name in inner else files
      relative = os.path.relpath(path, folder)
      if relative not in ours or os.path.islink(path):
        return f"{relative} is not of its {MANIFEST_NAME}"
  return None


def _manifest(folder: Path) -> dict[str, Any] | None:
  """Of a folder that one of our jobs made."""
  try:
    manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
    sound = all({"sha256", "bytes"} <= set(f) for f in manifest["files"].values())
    return manifest if sound else None
  except (OSError, ValueError, KeyError, TypeError, AttributeError):
    return None
