"""EXIF as directories of entries, whose values are never looked into.

EXIF is a TIFF without a picture: a directory, and others that it points at (CIPA
DC-008, "Exif 2.32", 4.5 and 4.6). Only the three that tell of a photograph are read,
each once, so directories that point at one another do no harm. Values keep their bytes
and their byte order; what is written has all offsets anew.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable

PREFIX = b"Exif\0\0"  # before the TIFF in a JPEG, and in some other formats
MAX_ENTRIES = 1000  # of a directory; cameras write some dozens
MAX_BYTES = 1 << 20  # of all values
MAIN, PHOTO, GPS = "main", "photo", "gps"

SHORT, LONG, ASCII = 3, 4, 2
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_POINTERS = {PHOTO: 0x8769, GPS: 0x8825}  # tags of the main directory
_POINTED = {tag: name for name, tag in _POINTERS.items()}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SIZES |= {13: 4, 129: 1}  # a directory's offset; UTF-8, of Exif 3


class ExifError(ValueError):
  """Bytes in which there is not even a first directory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
  """A tag's value.

  Attributes:
    kind: TIFF's number of the type.
    value: as it lies in the file.
  """

  kind: int
  value: bytes

  @property
  def count(self) -> int:
    """Numbers, or letters."""
    return len(self.value) // _SIZES[self.kind]


Directories = dict[str, dict[int, Entry]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exif:
  """What was found.

  Attributes:
    order: `<` or `>`, as `struct` says it.
    directories: those with entries, by name, and these by their tags.
    problems: words for what could not be read: `damaged`, `too_large`.
  """

  order: str
  directories: Directories
  problems: frozenset[str] = frozenset()


def short(order: str, number: int) -> Entry:
  """An entry of a whole number of 16 bits."""
  return Entry(kind=SHORT, value=struct.pack(f"{order}H", number))


def long(order: str, number: int) -> Entry:
  """An entry of a whole number of 32 bits."""
  return Entry(kind=LONG, value=struct.pack(f"{order}I", number))


def text(words: str) -> Entry:
  """An entry of text; UTF-8, as most programs write it beyond ASCII."""
  return Entry(kind=ASCII, value=words.encode("utf-8") + b"\0")


def read_exif(data: bytes, wanted: Callable[[str, int], bool]) -> Exif:
  """Reads what lies in a TIFF, or in EXIF with its prefix.

  Args:
    data: of which nothing is trusted.
    wanted: whether a tag of a directory is read.

  Raises:
    ExifError: there is no first directory.
  """
  data = data.removeprefix(PREFIX)
  order = _ORDERS.get(data[:4])
  if order is None or len(data) < 8:
    raise ExifError(f"Expected EXIF. Received: bytes that begin with {data[:8]!r}")
  reader = _Reader(data, order, wanted)
  (offset,) = struct.unpack_from(f"{order}I", data, 4)
  if not reader.read(MAIN, offset):
    raise ExifError(
      f"Expected a first directory. Received: none at {offset} of {len(data)} bytes"
    )
  return Exif(
    order=order,
    directories={name: found for name, found in reader.directories.items() if found},
    problems=frozenset(reader.problems),
  )


class _Reader:
  def __init__(self, data: bytes, order: str, wanted: Callable[[str, int], bool]):
    self._data, self._order, self._wanted = data, order, wanted
    self._left, self._seen = MAX_BYTES, set[int]()
    self.directories: Directories = {}
    self.problems: set[str] = set()

  def read(self, name: str, offset: int) -> bool:
    """Whether there is a directory; what it points at is read, too."""
    data, order = self._data, self._order
    if offset + 2 > len(data) or name in self.directories or offset in self._seen:
      return False
    self._seen.add(offset)
    entries = self.directories.setdefault(name, {})
    (num_entries,) = struct.unpack_from(f"{order}H", data, offset)
    if num_entries > MAX_ENTRIES:
      self.problems.add("too_large")
    for index in range(min(num_entries, MAX_ENTRIES)):
      place = offset + 2 + 12 * index
      if place + 12 > len(data):
        self.problems.add("damaged")
        break
      tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
      below = _POINTED.get(tag) if name == MAIN else None
      if below is not None:
        (pointed,) = struct.unpack_from(f"{order}I", data, place + 8)
        if self._wanted(name, tag) and not self.read(below, pointed):
          self.problems.add("damaged")
      elif self._wanted(name, tag):
        value = self._value(place, kind, count)
        if value is not None:
          entries.setdefault(tag, Entry(kind=kind, value=value))
    return True

  def _value(self, place: int, kind: int, count: int) -> bytes | None:
    size, start = _SIZES.get(kind, 0) * count, place + 8
    if size > 4:
      (start,) = struct.unpack_from(f"{self._order}I", self._data, start)
    if size == 0 or start + size > len(self._data):
      self.problems.add("damaged")
      return None
    if size > self._left:
      self.problems.add("too_large")
      return None
    self._left -= size
    return self._data[start : start + size]


def write_exif(order: str, directories: Directories) -> bytes:
  """A TIFF of nothing but these, equal for equal ones; no bytes where there are none.

  Args:
    order: of the values.
    directories: as in `Exif`.
  """
  below = [name for name in _POINTERS if directories.get(name)]
  main = dict(directories.get(MAIN, {}))
  if not main and not below:
    return b""
  # A pointer takes no room beyond its entry, so it may be filled in later.
  main |= {_POINTERS[name]: long(order, 0) for name in below}
  tables = {MAIN: main} | {name: directories[name] for name in below}
  places, end = {}, 8
  for name, entries in tables.items():
    places[name] = end
    end += _directory_bytes(entries)
  main |= {_POINTERS[name]: long(order, places[name]) for name in below}
  magic = next(magic for magic, one in _ORDERS.items() if one == order)
  parts = [magic, struct.pack(f"{order}I", 8)]
  parts += [
    _directory(order, entries, places[name]) for name, entries in tables.items()
  ]
  return b"".join(parts)


def _directory(order: str, entries: dict[int, Entry], place: int) -> bytes:
  table, values = [struct.pack(f"{order}H", len(entries))], b""
  end = place + 2 + 12 * len(entries) + 4
  for tag, entry in sorted(entries.items()):
    field = entry.value.ljust(4, b"\0")
    if len(field) > 4:
      field, value = struct.pack(f"{order}I", end + len(values)), entry.value
      values += value + bytes(len(value) % 2)  # offsets are even
    table.append(struct.pack(f"{order}HHI", tag, entry.kind, entry.count) + field)
  return b"".join((*table, bytes(4), values))  # no directory behind this one


def _directory_bytes(entries: dict[int, Entry]) -> int:
  sizes = (len(entry.value) for entry in entries.values())
  return 6 + 12 * len(entries) + sum(s + s % 2 for s in sizes if s > 4)
