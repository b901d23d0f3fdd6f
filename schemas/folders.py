"""A folder of files, on a disk or in a bucket, behind one seam.

    places = folder("s3://bucket/patches")        or folder("~/patches")
    places.write("a/b.json", content)             whole or not at all
    with places.new_file("big") as file: ...      the same, without holding it in memory
    with places.local_copy("big") as path: ...    a file of this machine

Names are relative, with `/` between their parts. A bucket has no folders: what has no
file in it is not there. Requests to a bucket are repeated as `Bucket` says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

from hardmine.schemas.bucket import Bucket
from hardmine.schemas.files import naming, write_atomically
from hardmine.schemas.uris import absolute, is_url, join, parent_and_name

PIECE_BYTES = 1 << 20


class Folder(Protocol):
  """What jobs ask of the place they read and write; instances can be pickled.

  Attributes:
    url: an absolute path, or a URL.
  """

  url: str

  def at(self, name: str) -> str:
    """Path or URL of a file."""
    ...

  def below(self, name: str) -> Folder:
    """A folder inside, whether it is there or not."""
    ...

  def names(self, folder: str = "") -> list[str]:
    """Names right below a folder, in no order; none where there is no such folder."""
    ...

  def tree(self, folder: str = "") -> set[str]:
    """Names of all files below a folder, relative to it."""
    ...

  def exists(self, name: str) -> bool:
    """Whether there is such a file."""
    ...

  def size(self, name: str) -> int:
    """Of a file, in bytes; FileNotFoundError where there is none."""
    ...

  def read(self, name: str) -> bytes:
    """A file's content; FileNotFoundError where there is none."""
    ...

  def pieces(self, name: str, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """A file's content, never all of it in memory."""
    ...

  def write(self, name: str, content: bytes) -> None:
    """Makes or replaces a file, as a whole."""
    ...

  def new_file(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    """A file to be written, which is there when the block has ended without error."""
    ...

  def local_copy(self, name: str) -> contextlib.AbstractContextManager[Path]:
    """A file to be read on this machine, in the block."""
    ...

  def remove(self, name: str) -> None:
    """Removes a file that may be gone already."""
    ...

  def remove_tree(self, folder: str = "") -> None:
    """Removes all files below a folder, and on a disk the folder."""
    ...


def folder(url: str | os.PathLike) -> Folder:
  """The folder at a path or a URL; nothing is looked at.

  Raises:
    ValueError: fsspec does not know the URL's kind, or its package is missing.
  """
  if not is_url(url):
    return LocalFolder(absolute(url))
  return BucketFolder(absolute(url))


def file_at(url: str | os.PathLike) -> tuple[Folder, str]:
  """(the folder that a file lies in, its name there); nothing is looked at.

  Raises:
    ValueError: as `folder`, or no file can be called so.
  """
  place, name = parent_and_name(absolute(url))
  return folder(place), name


def read_lines(place: Folder, name: str) -> Iterator[bytes]:
  """Yields the lines of a file, each with its end; FileNotFoundError without one."""
  rest = b""
  for piece in place.pieces(name):
    *lines, rest = (rest + piece).split(b"\n")
    yield from (line + b"\n" for line in lines)
  if rest:
    yield rest


def copy_file(source: Folder, name: str, target: Folder, new_name: str) -> None:
  """Copies a file, whole or not at all."""
  join_files(source, [name], target, new_name)


def join_files(
  source: Folder, names: Iterable[str], target: Folder, new_name: str
) -> None:
  """Writes a file of several, one after the other, whole or not at all."""
  with target.new_file(new_name) as file:
    for name in names:
      file.writelines(source.pieces(name))


class LocalFolder:
  """A folder of this machine, or of one that all machines mount."""

  def __init__(self, path: str):
    self.url = path

  def at(self, name: str) -> str:
    return os.path.join(self.url, name)

  def below(self, name: str) -> LocalFolder:
    return LocalFolder(self.at(name))

  def names(self, folder: str = "") -> list[str]:
    try:
      return os.listdir(self.at(folder))
    except (FileNotFoundError, NotADirectoryError):
      return []

  def tree(self, folder: str = "") -> set[str]:
    top = self.at(folder)
    return {
      os.path.relpath(os.path.join(parent, name), top)
      for parent, _, names in os.walk(top)
      for name in names
    }

  def exists(self, name: str) -> bool:
    return os.path.isfile(self.at(name))

  def size(self, name: str) -> int:
    return os.path.getsize(self.at(name))

  def read(self, name: str) -> bytes:
    return Path(self.at(name)).read_bytes()

  def pieces(self, name: str, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    with open(self.at(name), "rb") as file:
      while piece := file.read(piece_bytes):
        yield piece

  def write(self, name: str, content: bytes) -> None:
    path = Path(self.at(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    # What a job makes can be made again, so it does not wait for the disk; the one file
    # that says that a set is whole is written by `schemas.manifest`.
    write_atomically(path, content, durable=False)

  @contextlib.contextmanager
  def new_file(self, name: str) -> Iterator[IO[bytes]]:
    path = Path(self.at(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
      with naming(path), staged.open("wb") as file:
        yield file
      os.replace(staged, path)
    finally:
      staged.unlink(missing_ok=True)

  @contextlib.contextmanager
  def local_copy(self, name: str) -> Iterator[Path]:
    yield Path(self.at(name))

  def remove(self, name: str) -> None:
    Path(self.at(name)).unlink(missing_ok=True)

  def remove_tree(self, folder: str = "") -> None:
    shutil.rmtree(self.at(folder), ignore_errors=True)


class BucketFolder:
  """Objects below a URL."""

  def __init__(self, url: str):
    self.url = url
    self._bucket = Bucket.at_url(url)

  def at(self, name: str) -> str:
    return join(self.url, name)

  def below(self, name: str) -> BucketFolder:
    return BucketFolder(self.at(name))

  def names(self, folder: str = "") -> list[str]:
    return self._bucket.names(folder)

  def tree(self, folder: str = "") -> set[str]:
    return self._bucket.tree(folder)

  def exists(self, name: str) -> bool:
    return self._bucket.exists(name)

  def size(self, name: str) -> int:
    return self._bucket.size(name)

  def read(self, name: str) -> bytes:
    return self._bucket.read(name)

  def pieces(self, name: str, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    return self._bucket.pieces(name, piece_bytes)

  def write(self, name: str, content: bytes) -> None:
    self._bucket.write(name, content)

  @contextlib.contextmanager
  def new_file(self, name: str) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(prefix="hardmine-") as file:
      with naming(file.name):
        yield file
        file.flush()
      self._bucket.upload(Path(file.name), name)

  @contextlib.contextmanager
  def local_copy(self, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hardmine-") as place:
      path = Path(place) / name.rpartition("/")[2]  # some read the ending of the name
      self._bucket.download(name, path)
      yield path

  def remove(self, name: str) -> None:
    self._bucket.remove(name)

  def remove_tree(self, folder: str = "") -> None:
    found = self.tree(folder)
    self._bucket.remove_all(f"{folder}/{name}" if folder else name for name in found)
