"""Folders of a bucket for programs that need files of this machine.

    with local_copy(uri) as path: ...      all its files, until the block ends
    with local_output(uri) as path: ...    a folder to be filled, uploaded at the end

A place that is a local path already is used as it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from hardmine.schemas.files import naming
from hardmine.schemas.folders import Folder, folder
from hardmine.schemas.uris import is_url, parent_and_name

_NUM_AT_ONCE = 8  # requests
_PREFIX = "hardmine-"  # of folders for temporary files


def is_there(uri: str) -> bool:
  """Whether a place holds anything: a file or folder, an object or some below it."""
  if not is_url(uri):
    return os.path.exists(uri)
  parent, name = parent_and_name(uri)
  return folder(parent).exists(name) or bool(folder(uri).names())


@contextlib.contextmanager
def local_copy(
  uri: str, *, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[str]:
  """The path of a folder with the files below a place; copies go with the block.

  Args:
    uri: a folder of the disk, which is not copied, or a prefix of a bucket.
    wanted: chooses among the names, relative to the folder, of what is copied.

  Raises:
    OSError: the disk for temporary files has no room for them (`TMPDIR` says which).
  """
  if not is_url(uri):
    yield uri
    return
  source = folder(uri)
  names = sorted(filter(wanted, source.tree()))
  with tempfile.TemporaryDirectory(prefix=_PREFIX) as place:
    _require_room(uri, source, names, place)

    def fetch(name: str) -> None:
      target = os.path.join(place, *name.split("/"))
      os.makedirs(os.path.dirname(target), exist_ok=True)
      with naming(target), source.local_copy(name) as path:
        shutil.move(path, target)

    _at_once(fetch, names)
    yield place


@contextlib.contextmanager
def local_output(uri: str, *, last: Collection[str] = ()) -> Iterator[str]:
  """The path of a folder to be filled.

  What is in it is uploaded where the block ends without an error; nothing is where it
  ends with one.

  Args:
    uri: a folder of the disk, which is made, or a prefix of a bucket.
    last: names, relative to the folder, that readers take for a sign that all is
      there; they are uploaded behind the others.

  Raises:
    RuntimeError: an object is not as long as its file.
  """
  if not is_url(uri):
    os.makedirs(uri, exist_ok=True)
    yield uri
    return
  with tempfile.TemporaryDirectory(prefix=_PREFIX) as place:
    yield place
    made, target = folder(place), folder(uri)
    names = made.tree()

    def send(name: str) -> None:
      path = made.at(name)
      with open(path, "rb") as file, target.new_file(name) as object_:
        shutil.copyfileobj(file, object_)
      if target.size(name) != os.path.getsize(path):
        raise RuntimeError(f"{target.at(name)} was not uploaded whole; run again")

    _at_once(send, sorted(names.difference(last)))
    for name in sorted(names.intersection(last)):
      send(name)


def _require_room(uri: str, source: Folder, names: Sequence[str], place: str) -> None:
  num_bytes = sum(_at_once(source.size, names))
  free = shutil.disk_usage(place).free
  if num_bytes > free:
    raise OSError(
      f"{uri} needs {num_bytes:,} bytes on this machine, and {os.path.dirname(place)} "
      f"has {free:,} left: free some, or set TMPDIR to a folder of a larger disk"
    )


def _at_once(do: Callable[[str], object], names: Sequence[str]) -> list:
  """What a function gives for each name, several at a time; raises the first error."""
  if not names:
    return []
  with ThreadPoolExecutor(min(_NUM_AT_ONCE, len(names))) as pool:
    return list(pool.map(do, names))
