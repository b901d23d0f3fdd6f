"""TFRecord files without TensorFlow: written whole or not at all, checked when read.

A record is its length (uint64), a checksum of that, its bytes, and a checksum of
those; checksums are CRC32C, rotated by 15 and shifted by a constant.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c


def write_records(path: Path, records: Iterable[bytes]) -> int:
  """Writes records; a name that ends in `.gz` is compressed. Returns their number.

  The same records give the same bytes, and a second writer of the same file (a
  Beam bundle that was retried) replaces it as a whole.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
  num_records = 0
  try:
    with contextlib.ExitStack() as stack:
      file: Any = stack.enter_context(staged.open("wb"))
      if path.suffix == ".gz":
        # Neither name nor time in the header. Pixels hardly shrink: level 1 will do.
        file = stack.enter_context(
          gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0)
        )
      for record in records:
        length = struct.pack("<Q", len(record))
        file.write(length + _checksum(length) + record + _checksum(record))
        num_records += 1
    os.replace(staged, path)
  finally:
    staged.unlink(missing_ok=True)
  return num_records


def read_records(path: Path) -> Iterator[bytes]:
  """Yields records.

  Raises:
    RuntimeError: the file is cut short or a checksum is wrong.
  """
  opener = gzip.open if path.suffix == ".gz" else open
  with opener(path, "rb") as file:
    try:
      while header := file.read(12):
        record = file.read(struct.unpack("<Q", header[:8])[0])
        if header[8:] != _checksum(header[:8]) or file.read(4) != _checksum(record):
          raise RuntimeError(f"{path} is damaged: a checksum is wrong; make it again")
        yield record
    except (EOFError, OSError, struct.error, OverflowError) as error:
      raise RuntimeError(f"{path} cannot be read ({error}); make it again") from error


def _checksum(data: bytes) -> bytes:
  crc = google_crc32c.value(data)
  return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
