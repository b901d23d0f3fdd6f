"""TFRecord files without TensorFlow: written whole or not at all, checked when read.

A record is its length (uint64), a checksum of that, its bytes, and a checksum of
those; checksums are CRC32C, rotated by 15 and shifted by a constant.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import struct
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
from zlib_ng import gzip_ng, zlib_ng

from hardmine.schemas.files import naming

_PIECE = 1 << 20  # bytes
# The package's types call it an exception, not a class of them.
_DEFLATE_ERROR: type[Exception] = zlib_ng.error  # pyright: ignore[reportAssignmentType]


def write_records(
  path: Path, records: Iterable[bytes], *, compressed: bool = True
) -> int:
  """Writes records. Returns their number.

  The same records give the same bytes, and a second writer of the same file (a
  Beam bundle that was retried) replaces it as a whole.

  Args:
    path: a name that ends in `.gz` makes a gzip file.
    records: drawn once, to the end.
    compressed: False stores the bytes in the gzip file as they are: right for
      photographs' files, which deflate by 0.5 % for a third of a job's time.
  """
  num_records = 0
  with _whole_file(path, compressed) as file:
    for record in records:
      length = struct.pack("<Q", len(record))
      file.writelines((length + _checksum(length), record, _checksum(record)))
      num_records += 1
  return num_records


def join_records(path: Path, parts: Iterable[Path], *, compressed: bool = True) -> None:
  """Writes the records of uncompressed files, one file after the other.

  They are not looked at: `read_records` tells whether what was written is right.

  Args:
    path: as in `write_records`, and so is `compressed`.
    parts: files that are not compressed.
    compressed: see there.
  """
  with _whole_file(path, compressed) as file:
    for part in parts:
      with part.open("rb") as source:
        shutil.copyfileobj(source, file, _PIECE)


def read_records(path: Path) -> Iterator[bytes]:
  """Yields records.

  Raises:
    RuntimeError: the file is cut short or a checksum is wrong.
  """
  # The package's reader takes a fifth of the time of Python's.
  opener: Any = gzip_ng.open if path.suffix == ".gz" else open
  with opener(path, "rb") as file:
    try:
      while header := file.read(12):
        record = file.read(struct.unpack("<Q", header[:8])[0])
        if header[8:] != _checksum(header[:8]) or file.read(4) != _checksum(record):
          raise RuntimeError(f"{path} is damaged: a checksum is wrong; make it again")
        yield record
    except (EOFError, OSError, OverflowError, struct.error, _DEFLATE_ERROR) as error:
      raise RuntimeError(f"{path} cannot be read ({error}); make it again") from error


@contextlib.contextmanager
def _whole_file(path: Path, compressed: bool) -> Iterator[Any]:
  """A file that gets its name when it is complete."""
  path.parent.mkdir(parents=True, exist_ok=True)
  staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
  try:
    with contextlib.ExitStack() as stack:
      stack.enter_context(naming(path))
      file: Any = stack.enter_context(staged.open("wb"))
      if path.suffix == ".gz":
        file = stack.enter_context(_deflating(file) if compressed else _storing(file))
      yield file
    os.replace(staged, path)
  finally:
    staged.unlink(missing_ok=True)


def _deflating(file: Any) -> Any:
  # Neither name nor time in the header. Pixels hardly shrink: level 1 will do.
  return gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0)


def _storing(file: Any) -> Any:
  # Systems' zlibs cut stored blocks differently; the package's own does not vary.
  return gzip_ng.GzipNGFile("", "wb", compresslevel=0, fileobj=file, mtime=0)


def _checksum(data: bytes) -> bytes:
  crc = google_crc32c.value(data)
  return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
