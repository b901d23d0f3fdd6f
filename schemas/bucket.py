"""Objects below a path, with requests repeated that the network or the server lost."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hardmine.schemas.uris import is_url

if TYPE_CHECKING:
  import fsspec

T = TypeVar("T")

DELAYS_SECONDS = (0.1, 0.3, 1.0, 3.0, 8.0, 20.0)  # before each repetition, made random
_TRANSIENT_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}  # 409: two at one object
_TRANSIENT_ERRNO = {
  *(errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE),
  *(errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH),
}
# What clients raise for a connection that fails, by name: none of them is imported.
_TRANSIENT_TYPES = {
  "asyncio.exceptions.TimeoutError",  # since Python 3.11 Python's own
  "botocore.exceptions.HTTPClientError",  # refused, reset, closed, out of time
  "botocore.exceptions.IncompleteReadError",
  "aiohttp.client_exceptions.ClientConnectionError",
  "aiohttp.client_exceptions.ClientPayloadError",  # an answer that broke off
  "requests.exceptions.ConnectionError",
  "requests.exceptions.Timeout",
  "google.auth.exceptions.TransportError",
  "http.client.IncompleteRead",
}
_PRECONDITION_FAILED = 412
# Clients repeat requests as well: together they would wait for most of an hour.
_OPTIONS = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
_TIMES = ("LastModified", "mtime", "last_modified", "updated", "created")
_CHAIN = re.compile(r"^\w+::|::\w+://")  # as `zip://*.png::s3://bucket/all.zip`
_AT_ONCE = 1000  # objects: what S3 removes by one request
_MAGIC = frozenset("*?[")  # fsspec takes a name of many for a pattern by these


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectFacts:
  """What a listing says of an object.

  Attributes:
    bytes: its length.
    modified: when it was last written, by the store's clock; None if it tells nothing.
  """

  bytes: int
  modified: datetime.datetime | None


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
    options: dict[str, Any] = {"use_listings_cache": False}  # others write as well
    is_s3 = url.partition("://")[0] in ("s3", "s3a")
    try:
      file_system, path = file_system_of(url, **options, **(_OPTIONS if is_s3 else {}))
      if is_s3:
        file_system.retries = 1
      return cls(file_system, path)
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
    return set(self.facts(folder))

  def facts(self, folder: str) -> dict[str, ObjectFacts]:
    """What is known of all objects below a folder, by name relative to it."""
    found, pending = {}, [""]
    while pending:  # fsspec's own `find` passes over folders that it fails to list
      inner = pending.pop()
      for entry in self._entries(f"{folder}/{inner}".strip("/")):
        name = inner + entry["name"].rpartition("/")[2]
        if entry["type"] == "directory":
          pending.append(f"{name}/")
        else:
          when = next((entry[key] for key in _TIMES if entry.get(key)), None)
          found[name] = ObjectFacts(bytes=entry["size"], modified=_with_zone(when))
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
    if len(names) < 2 or not all(map(self._is_plain, names)):
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
    told = _with_zone(when)
    assert told is not None
    return told

  def remove_all(self, names: Iterable[str]) -> None:
    """Removes objects, many in a request where the store can."""
    left = []
    for name in names:
      if self._is_plain(name):
        left.append(name)
      else:
        self.remove(name)
    for start in range(0, len(left), _AT_ONCE):
      some = [f"{self._path}/{name}" for name in left[start : start + _AT_ONCE]]
      try:
        _repeated(lambda some=some: self._fs.rm(some))
      except FileNotFoundError:  # some are gone already: one by one
        for name in left[start : start + _AT_ONCE]:
          self.remove(name)

  def _is_plain(self, name: str) -> bool:
    return _MAGIC.isdisjoint(f"{self._path}/{name}")

  def remove(self, name: str) -> None:
    """Removes an object that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
      _repeated(lambda: self._fs.rm_file(f"{self._path}/{name}"))

  def remove_if(self, name: str, content: bytes) -> None:
    """Removes an object of a content that only its writer gives it."""
    with contextlib.suppress(FileNotFoundError):
      if self.read(name) == content:
        self.remove(name)

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


class Patient:
  """A file system of fsspec whose requests are repeated where the fault may pass."""

  def __init__(self, file_system: fsspec.AbstractFileSystem):
    self._fs: Any = file_system
    if hasattr(file_system, "retries"):  # s3fs's, beside botocore's
      self._fs.retries = 1

  def __getattr__(self, name: str) -> Any:
    value = getattr(self._fs, name)
    if name.startswith("_") or not callable(value):
      return value
    return lambda *args, **options: _repeated(lambda: value(*args, **options))


def file_system_of(url: str, **options: Any) -> tuple[Any, str]:
  """(fsspec's file system of a path or URL, the path in it).

  fsspec would take `::` in a path for a second URL, and `#7` at its end for a version.
  """
  import fsspec  # who opens a local store has no need of it

  if _CHAIN.search(url):
    return fsspec.core.url_to_fs(url, **options)
  head = "/".join(url.split("/", 3)[:3]) if is_url(url) else "file://"
  file_system, _ = fsspec.core.url_to_fs(head, **options)
  return file_system, str(file_system._strip_protocol(url))


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


def _is_transient(error: BaseException) -> bool:
  if isinstance(error, (TimeoutError, ConnectionError)):
    return True
  status = _status(error)
  if status is not None:
    return status in _TRANSIENT_STATUS
  if any(f"{c.__module__}.{c.__name__}" in _TRANSIENT_TYPES for c in type(error).mro()):
    return True
  return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNO


def _status(error: BaseException) -> int | None:
  """The HTTP status of an answer.

  gcsfs (`code`) and aiohttp (`status`) give it to their errors; s3fs leaves it with the
  error of botocore that its own stands for.
  """
  for name in ("code", "status"):
    value = getattr(error, name, None)
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
      return int(value)
  for one in (error, error.__cause__):
    response = getattr(one, "response", None)
    if isinstance(response, dict):
      return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
  return None


def _with_zone(when: Any) -> datetime.datetime | None:
  """A time as listings give it, with its zone."""
  if isinstance(when, str):  # as gcsfs may
    when = datetime.datetime.fromisoformat(when.replace("Z", "+00:00"))
  elif isinstance(when, (int, float)):
    when = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
  if when is None or when.tzinfo:
    return when
  return when.replace(tzinfo=datetime.timezone.utc)
