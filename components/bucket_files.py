"""Buckets for TFX: what TensorFlow's own file system cannot do any more.

TFX asks `fileio` for every file, and that asks the plug-in of the path's scheme. The
one for buckets here is on `schemas.folders`, so all of Hardmine reaches a bucket by one
client, with one set of credentials and with the same patience. Beam, which asks
neither, has `components.beam_buckets`.

A bucket has no folders. One that TFX makes is remembered by the process, until there
is something in it.
"""

from __future__ import annotations

import fnmatch
import io
import os
import types
from collections.abc import Callable, Iterator
from typing import Any

from tfx.dsl.io import (
  fileio,  # noqa: F401 - registers TFX's own plug-ins, before ours
  filesystem,
)
from tfx.dsl.io.filesystem_registry import DEFAULT_FILESYSTEM_REGISTRY

from hardmine.components import beam_buckets
from hardmine.schemas.folders import Folder, folder
from hardmine.schemas.local_copies import is_there
from hardmine.schemas.uris import is_below, join, parent_and_name

PREFERENCE = 5  # the lower the number, the sooner; TensorFlow's is 10
_MAGIC = frozenset("*?[")

Path = str | bytes


def register() -> None:
  """Has TFX and Beam use the plug-ins for buckets in this process.

  Every run calls it: a folder that an earlier one made empty is there no longer.
  """
  BucketFilesystem._made.clear()
  beam_buckets.register()
  DEFAULT_FILESYSTEM_REGISTRY.register(BucketFilesystem, priority=PREFERENCE)


class BucketFilesystem(filesystem.Filesystem):
  """Files are read and written as a whole: TFX's are small."""

  SUPPORTED_SCHEMES = [f"{scheme}://" for scheme in beam_buckets.SCHEMES]  # noqa: RUF012
  _made: set[str] = set()  # noqa: RUF012 - empty folders

  @staticmethod
  def open(name: Path, mode: str = "r") -> Any:
    """A file that is there when it was closed without an error before."""
    places, base = _split(name)
    kind, is_binary = mode[0], "b" in mode
    if kind not in "rwa" or "+" in mode:
      raise ValueError(f"Expected the mode r, w or a, with b or not. Received: {mode}")
    content = b"" if kind == "w" else _read(places, base, kind == "r")
    if kind == "r":
      file = io.BytesIO(content)
      return file if is_binary else io.TextIOWrapper(file, "utf-8")
    file = _Written(places, base, content)
    return file if is_binary else _WrittenText(file, "utf-8")

  @staticmethod
  def copy(src: Path, dst: Path, overwrite: bool = False) -> None:
    _require_free(dst, overwrite)
    places, name = _split(dst)
    places.write(name, _read(*_split(src)))

  @staticmethod
  def exists(path: Path) -> bool:
    url = _url(path)
    return url in _parents_of(BucketFilesystem._made) or is_there(url)

  @staticmethod
  def glob(pattern: Path) -> list[Any]:
    url = _url(pattern)
    scheme, _, rest = url.partition("://")
    bucket, *parts = rest.split("/")
    return sorted(_matching(f"{scheme}://{bucket}", parts))

  @staticmethod
  def isdir(path: Path) -> bool:
    url = _url(path)
    return url in _parents_of(BucketFilesystem._made) or bool(folder(url).names())

  @staticmethod
  def listdir(path: Path) -> list[Any]:
    url = _url(path)
    made = {
      place[len(url) + 1 :].partition("/")[0]
      for place in BucketFilesystem._made
      if place.startswith(f"{url}/")
    }
    names = made.union(folder(url).names())
    if not names and url not in BucketFilesystem._made:
      raise filesystem.NotFoundError(url)
    return sorted(names)

  @staticmethod
  def makedirs(path: Path) -> None:
    BucketFilesystem._made.add(_url(path))

  mkdir = makedirs

  @staticmethod
  def remove(path: Path) -> None:
    places, name = _split(path)
    if places.exists(name):
      places.remove(name)
    elif _url(path) not in BucketFilesystem._made:
      raise filesystem.NotFoundError(_url(path))
    BucketFilesystem._made.discard(_url(path))

  @staticmethod
  def rename(src: Path, dst: Path, overwrite: bool = False) -> None:
    _require_free(dst, overwrite)
    source, target = _url(src), _url(dst)
    names = folder(source).tree()
    for name in names:
      _split(join(target, name))[0].write(_split(name)[1], _read(folder(source), name))
    if names or source in BucketFilesystem._made:
      BucketFilesystem.rmtree(source)
      BucketFilesystem.makedirs(target)
    else:
      BucketFilesystem.copy(source, target, overwrite=True)
      BucketFilesystem.remove(source)

  @staticmethod
  def rmtree(path: Path) -> None:
    url = _url(path)
    if not BucketFilesystem.isdir(url):
      raise filesystem.NotFoundError(url)
    folder(url).remove_tree()
    made = BucketFilesystem._made
    made.difference_update([place for place in made if is_below(place, url)])

  @staticmethod
  def stat(path: Path) -> Any:
    places, name = _split(path)
    if places.exists(name):
      return types.SimpleNamespace(length=places.size(name), is_directory=False)
    if BucketFilesystem.isdir(path):
      return types.SimpleNamespace(length=0, is_directory=True)
    raise filesystem.NotFoundError(_url(path))

  @staticmethod
  def walk(
    top: Path, topdown: bool = True, onerror: Callable[..., None] | None = None
  ) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    del onerror  # as with TensorFlow's own, errors are raised
    url = _url(top)
    inner: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}
    for file in folder(url).tree():
      inner.setdefault(os.path.dirname(file), (set(), set()))[1].add(file)
    for place in list(inner):
      while place:
        parent = os.path.dirname(place)
        inner.setdefault(parent, (set(), set()))[0].add(place)
        place = parent
    for place in sorted(inner, reverse=not topdown):
      folders, files = (sorted(map(os.path.basename, names)) for names in inner[place])
      yield join(url, place), folders, files


class _Written(io.BytesIO):
  """Becomes an object when it is closed."""

  def __init__(self, places: Folder, name: str, content: bytes):
    super().__init__(content)
    self.seek(0, io.SEEK_END)
    self._places, self._name = places, name
    self.is_lost = False

  def __exit__(self, kind, *exception) -> None:
    self.is_lost = kind is not None
    self.close()

  def close(self) -> None:
    if not self.closed and not self.is_lost:
      self._places.write(self._name, self.getvalue())
    super().close()


class _WrittenText(io.TextIOWrapper):
  """The same, of text."""

  def __exit__(self, kind, *exception) -> None:
    self.buffer.is_lost = kind is not None  # pyright: ignore[reportAttributeAccessIssue]
    self.close()


def _matching(base: str, parts: list[str]) -> Iterator[str]:
  """What is there below a place and fits patterns, one for each part of a path."""
  if not parts:
    yield base
    return
  first, *others = parts
  if not _MAGIC.isdisjoint(first):
    names = fnmatch.filter(folder(base).names(), first)
  elif others or BucketFilesystem.exists(join(base, first)):
    names = [first]  # whether there is such a folder is seen further down
  else:
    names = []
  for name in names:
    yield from _matching(join(base, name), others)


def _read(places: Folder, name: str, must_exist: bool = True) -> bytes:
  try:
    return places.read(name)
  except (FileNotFoundError, IsADirectoryError):
    if must_exist:
      raise filesystem.NotFoundError(places.at(name)) from None
    return b""


def _require_free(path: Path, overwrite: bool) -> None:
  if not overwrite and BucketFilesystem.exists(path):
    raise OSError(f"{_url(path)} exists already")


def _split(path: Path) -> tuple[Folder, str]:
  parent, name = parent_and_name(_url(path))
  return folder(parent), name


def _url(path: Path) -> str:
  return os.fsdecode(path).rstrip("/")


def _parents_of(made: set[str]) -> set[str]:
  """The folders that were made, and those around them."""
  found = set()
  for place in made:
    while "://" in place and place not in found:
      found.add(place)
      place = place.rpartition("/")[0]
  return found
