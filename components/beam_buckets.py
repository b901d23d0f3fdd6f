"""Buckets for Beam: the schemes that it has no file system for, and S3.

Beam asks boto3 for S3, which has settings and credentials of its own and needs a
package of its own. Here it reaches buckets as all of Hardmine does. Google's it reaches
by itself, where its package for that is installed, as on Dataflow's workers.

A worker imports this module when it is named as a plug-in (`--beam_plugin`).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from apache_beam.io import filesystems  # noqa: F401 - makes Beam's own known
from apache_beam.io.filesystem import (
  BeamIOError,
  CompressedFile,
  CompressionTypes,
  FileMetadata,
  FileSystem,
)

from hardmine.schemas.folders import PIECE_BYTES, Folder, folder
from hardmine.schemas.uris import join, parent_and_name

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "memory")


def register() -> None:
  """Has Beam use our file systems in this process; again is the same as once."""
  for known in FileSystem.get_all_subclasses():
    if known.scheme() == "s3" and not issubclass(known, BucketFileSystem):
      # Beam takes the only one of a scheme, and refuses to choose between two.
      known.scheme = classmethod(lambda cls: "s3-by-boto3")  # type: ignore[method-assign]
  taken = {known.scheme() for known in FileSystem.get_all_subclasses()}
  for scheme in SCHEMES:
    if scheme not in taken:
      _CLASSES.append(_class_of(scheme))


class BucketFileSystem(FileSystem):
  """Objects, each read and written as a whole by way of a file of this machine.

  So a request that fails is repeated, and an object is whole or not there.
  """

  SCHEME = "bucket"

  @classmethod
  def scheme(cls) -> str:
    return cls.SCHEME

  def join(self, basepath: str, *paths: str) -> str:
    return join(basepath, *(path.strip("/") for path in paths))

  def split(self, path: str) -> tuple[str, str]:
    head, _, name = path.rpartition("/")
    return head, name

  def mkdirs(self, path: str) -> None:
    """Nothing: a folder is there as soon as something is in it."""

  def has_dirs(self) -> bool:
    return False

  def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
    with _told("List", dir_or_prefix):
      parent = dir_or_prefix.rpartition("/")[0]
      places = folder(parent)
      for name in sorted(places.tree()):
        path = join(parent, name)
        if path.startswith(dir_or_prefix):
          yield FileMetadata(path, places.size(name))

  def create(
    self,
    path: str,
    mime_type: str = "application/octet-stream",
    compression_type: str = CompressionTypes.AUTO,
  ) -> Any:
    places, name = _split(path)
    return _decompressed(_Upload(places, name), path, compression_type)

  def open(
    self,
    path: str,
    mime_type: str = "application/octet-stream",
    compression_type: str = CompressionTypes.AUTO,
  ) -> Any:
    places, name = _split(path)
    with _told("Open", path), places.local_copy(name) as copied:
      file = open(copied, "rb")  # noqa: SIM115 - stays readable without its name
    return _decompressed(file, path, compression_type)

  def copy(
    self, source_file_names: Sequence[str], destination_file_names: Sequence[str]
  ) -> None:
    _each("Copy", _copy, source_file_names, destination_file_names)

  def rename(
    self, source_file_names: Sequence[str], destination_file_names: Sequence[str]
  ) -> None:
    def move(source: str, target: str) -> None:
      _copy(source, target)
      places, name = _split(source)
      places.remove(name)

    _each("Rename", move, source_file_names, destination_file_names)

  def exists(self, path: str) -> bool:
    places, name = _split(path)
    return places.exists(name)

  def size(self, path: str) -> int:
    places, name = _split(path)
    with _told("Size", path):
      return places.size(name)

  def last_updated(self, path: str) -> float:
    raise BeamIOError(f"{path}: when it was written is not asked for")

  def checksum(self, path: str) -> str:
    places, name = _split(path)
    digest = hashlib.sha256()
    with _told("Checksum", path):
      for piece in places.pieces(name):
        digest.update(piece)
    return digest.hexdigest()

  def metadata(self, path: str) -> FileMetadata:
    return FileMetadata(path, self.size(path))

  def delete(self, paths: Sequence[str]) -> None:
    def remove(path: str, _: str) -> None:
      places, name = _split(path.rstrip("/"))
      places.remove(name)
      places.remove_tree(name)

    _each("Delete", remove, paths, paths)


class _Upload(io.BufferedIOBase):
  """A file of this machine that becomes an object when it is closed."""

  mode = "wb"  # Beam asks for it

  def __init__(self, places: Folder, name: str):
    self._stack = contextlib.ExitStack()
    self._file: IO[bytes] = self._stack.enter_context(places.new_file(name))

  def writable(self) -> bool:
    return True

  def write(self, data: Any) -> int:
    return self._file.write(data)

  def tell(self) -> int:
    return self._file.tell()

  def close(self) -> None:
    if not self.closed:
      super().close()
      self._stack.close()


def _class_of(scheme: str) -> type[BucketFileSystem]:
  name = f"{scheme.capitalize()}BucketFileSystem"
  return type(name, (BucketFileSystem,), {"SCHEME": scheme, "__module__": __name__})


def _decompressed(file: Any, path: str, compression_type: str) -> Any:
  if compression_type == CompressionTypes.AUTO:
    compression_type = CompressionTypes.detect_compression_type(path)
  if compression_type == CompressionTypes.UNCOMPRESSED:
    return file
  return CompressedFile(file, compression_type=compression_type)


def _copy(source: str, target: str) -> None:
  (places, name), (others, new) = _split(source), _split(target)
  with (
    places.local_copy(name) as path,
    open(path, "rb") as content,
    others.new_file(new) as file,
  ):
    shutil.copyfileobj(content, file, PIECE_BYTES)


def _each(
  what: str,
  do: Callable[[str, str], None],
  sources: Sequence[str],
  targets: Sequence[str],
) -> None:
  """Does all that can be done, and raises BeamIOError for the others."""
  failed: dict[tuple[str, str], Exception] = {}
  for source, target in zip(sources, targets, strict=True):
    try:
      do(source, target)
    except Exception as error:
      failed[source, target] = error
  if failed:
    raise BeamIOError(f"{what} operation failed", failed)


@contextlib.contextmanager
def _told(what: str, path: str) -> Iterator[None]:
  try:
    yield
  except OSError as error:
    raise BeamIOError(f"{what} operation failed", {path: error}) from error


def _split(path: str) -> tuple[Folder, str]:
  parent, name = parent_and_name(path)
  return folder(parent), name


_CLASSES: list[type[BucketFileSystem]] = []  # kept: Beam finds classes that are alive
register()
