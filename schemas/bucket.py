"""Objects below a path, with requests repeated that the network or the server lost."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import fsspec

T = TypeVar("T")

DELAYS_SECONDS = (0.1, 0.3, 1.0, 3.0, 8.0)  # before each repetition, made random
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_TRANSIENT_ERRNO = {errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT, errno.ECONNRESET}
_PRECONDITION_FAILED = 412
_AT_ONCE = 1000  # objects: what S3 removes by one request


class Bucket:
  """Objects of a file system below a path; names are relative to it.

  Args:
    file_system: of fsspec.
    path: in that file system, without the protocol.
  """

  def __init__(self, file_system: fsspec.AbstractFileSystem, path: str):
    self._fs: Any = file_system  # its answers are typed as str or bytes
    self._path = path.rstrip("/")

  @classmethod
  def at_url(cls, url: str) -> Bucket:
    """The objects below a URL.

    Raises:
      ValueError: fsspec does not know the kind of URL, or its package is missing.
    """
    try:
      # Others write as well: what was listed a moment ago says nothing about now.
      return cls(*fsspec.core.url_to_fs(url, use_listings_cache=False))
    except (ImportError, ValueError) as error:
      raise ValueError(
        f"Expected a local path, or a URL whose file system is installed ({error}). "
        f"Received: {url!r}"
      ) from error

  def names(self, folder: str) -> list[str]:
    """The last parts of the names right below a folder, never from a cache."""
    return [entry["name"].rpartition("/")[2] for entry in self._entries(folder)]

  def tree(self, folder: str) -> set[str]:
    """The names of all objects below a folder, relative to it."""
    found, pending = set(), [""]
    while pending:  # fsspec's own `find` passes over folders that it fails to list
      inner = pending.pop()
      for entry in self._entries(f"{folder}/{inner}".strip("/")):
        name = inner + entry["name"].rpartition("/")[2]
        if entry["type"] == "directory":
          pending.append(f"{name}/")
        else:
          found.add(name)
    return found

  def _entries(self, folder: str) -> list[dict[str, Any]]:
    where = f"{self._path}/{folder}".rstrip("/")

    def ask() -> list[dict[str, Any]]:
      self._fs.invalidate_cache(where)
      return self._fs.ls(where, detail=True)

    try:
      found = _repeated(ask)
    except FileNotFoundError:
      return []
    itself = str(self._fs._strip_protocol(where)).rstrip("/")  # some list that too
    entries = [{**entry, "name": entry["name"].rstrip("/")} for entry in found]
    return [entry for entry in entries if entry["name"] != itself]

  def read(self, name: str) -> bytes:
    """An object's content; FileNotFoundError where there is none."""
    return _repeated(lambda: self._fs.cat_file(f"{self._path}/{name}"))

  def numbers(self, folder: str) -> list[int]:
    """N of the objects called `N.json` directly in a folder."""
    names = (name.removesuffix(".json") for name in self.names(folder))
    return [int(name) for name in names if name.isascii() and name.isdecimal()]

  def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
    """Many objects, at once where the file system can."""
    if len(names) < 2:
      return {name: self.read(name) for name in names}
    paths = [str(self._fs._strip_protocol(f"{self._path}/{name}")) for name in names]
    found = self._fs.cat(paths, on_error="return")
    # Of many requests some fail for a moment: only those are repeated.
    return {
      name: found[path] if isinstance(found.get(path), bytes) else self.read(name)
      for name, path in zip(names, paths)
    }

  def pieces(self, name: str, piece_bytes: int) -> Iterator[bytes]:
    """An object's content, never all of it in memory."""
    where, start = f"{self._path}/{name}", 0
    size = self.size(name)
    while start < size:
      end = min(start + piece_bytes, size)
      limits = {"start": start, "end": end}  # s3fs has another argument before them
      piece = _repeated(lambda limits=limits: self._fs.cat_file(where, **limits))
      if not piece:
        return
      yield piece
      start += len(piece)

  def exists(self, name: str) -> bool:
    """Whether there is such an object."""
    try:
      self.size(name)
    except FileNotFoundError:
      return False
    return True

  def size(self, name: str) -> int:
    """Of an object, in bytes; FileNotFoundError where there is none."""
    self._fs.invalidate_cache(f"{self._path}/{name}".rpartition("/")[0])
    facts = _repeated(lambda: self._fs.info(f"{self._path}/{name}"))
    if facts["type"] == "directory":
      raise FileNotFoundError(f"{self._path}/{name}")
    return facts["size"]

  def write(self, name: str, content: bytes) -> None:
    """Replaces an object, or makes it."""
    _repeated(lambda: self._fs.pipe_file(f"{self._path}/{name}", content))

  def upload(self, source: Path, name: str) -> None:
    """Makes an object of a local file."""
    _repeated(lambda: self._fs.put_file(str(source), f"{self._path}/{name}"))

  def download(self, name: str, target: Path) -> None:
    """Writes an object into a local file."""
    _repeated(lambda: self._fs.get_file(f"{self._path}/{name}", str(target)))

  def modified(self, name: str) -> datetime.datetime:
    """When an object was last written, by the store's clock; it knows its zone."""
    self._fs.invalidate_cache(f"{self._path}/{name}".rpartition("/")[0])
    when = _repeated(lambda: self._fs.modified(f"{self._path}/{name}"))
    return when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)

  def remove_all(self, names: Iterable[str]) -> None:
    """Removes objects, many in a request where the store can."""
    left = list(names)
    for start in range(0, len(left), _AT_ONCE):
      some = [f"{self._path}/{name}" for name in left[start : start + _AT_ONCE]]
      try:
        _repeated(lambda some=some: self._fs.rm(some))
      except FileNotFoundError:  # some are gone already: one by one
        for name in left[start : start + _AT_ONCE]:
          self.remove(name)

  def remove(self, name: str) -> None:
    """Removes an object that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
      _repeated(lambda: self._fs.rm_file(f"{self._path}/{name}"))

  def create(self, name: str, value: dict[str, Any]) -> bool:
    """Makes an object that does not exist.

    Returns:
      Whether it is ours. An answer may be lost after success, and its repetition
      then finds the object; so what is there is read and compared.
    """
    unlike = {**value, "token": uuid.uuid4().hex}  # any other writer's
    return self.create_file(name, json.dumps(unlike, indent=2).encode())

  def create_file(self, name: str, content: bytes) -> bool:
    """As `create`; a file of the same content that another made counts as ours."""
    try:
      _repeated(
        lambda: self._fs.pipe_file(f"{self._path}/{name}", content, mode="create")
      )
    except FileExistsError:
      pass
    except Exception as error:
      if _status(error) != _PRECONDITION_FAILED:
        raise
    return self.read(name) == content

  def pause(self) -> None:
    """A short random time, so that writers do not meet again."""
    time.sleep(random.uniform(0, DELAYS_SECONDS[0]))


def _repeated(request: Callable[[], T]) -> T:
  """The answer to a request, asked again where the fault may pass.

  Raises:
    RuntimeError: it did not pass.
  """
  for delay_seconds in (*DELAYS_SECONDS, None):
    try:
      return request()
    except Exception as error:
      if not _is_transient(error):
        raise
      if delay_seconds is None:
        raise RuntimeError(
          f"the object store did not answer {len(DELAYS_SECONDS) + 1} times: "
          f"{type(error).__name__}: {error}"
        ) from error
      time.sleep(random.uniform(delay_seconds / 2, delay_seconds))
  raise AssertionError


def _is_transient(error: Exception) -> bool:
  status = _status(error)
  if status is not None:
    return status in _TRANSIENT_STATUS
  if isinstance(error, (TimeoutError, asyncio.TimeoutError, ConnectionError)):
    return True
  return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNO


def _status(error: BaseException) -> int | None:
  """The HTTP status that gcsfs (`code`) and aiohttp (`status`) give their errors."""
  for name in ("code", "status"):
    value = getattr(error, name, None)
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
      return int(value)
  return None
