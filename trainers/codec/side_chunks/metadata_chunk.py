"""A picture's metadata as the side chunk of its stream.

    0   1  version of this layout, 1
    1      a zlib stream (RFC 1950) of records, at most 4 MiB of them:
             0   1  kind: 1 EXIF (a TIFF, without "Exif\\0\\0"), 2 XMP (XML, UTF-8)
             1   4  bytes of the record, unsigned and little endian
             5      the record

Kinds come in rising order, each at most once; a reader passes over those that it does
not know. EXIF says an orientation of 1, if any: the picture stands upright.
"""

from __future__ import annotations

import struct
import zlib

from hardmine.trainers.codec.side_chunks.inflating import inflate
from hardmine.trainers.photo_metadata.metadata import Metadata

NAME = "metadata"  # of the side chunk
MAX_BYTES = 1 << 22
_VERSION = 1
_EXIF, _XMP = 1, 2
_RECORD = struct.Struct("<BI")


class MetadataError(ValueError):
  """A chunk that is none, in one line."""


def pack_metadata(metadata: Metadata) -> bytes:
  """The chunk's payload, equal for equal metadata; none for none."""
  if not metadata:
    return b""
  records = b"".join(
    _RECORD.pack(kind, len(value)) + value
    for kind, value in ((_EXIF, metadata.exif), (_XMP, metadata.xmp))
    if value
  )
  return bytes([_VERSION]) + zlib.compress(records, 9)


def unpack_metadata(data: bytes) -> Metadata:
  """Inverts `pack_metadata`.

  Raises:
    MetadataError: it is damaged, or of a newer version; no more than `MAX_BYTES` were
      taken to find out.
  """
  if data[:1] != bytes([_VERSION]):
    raise MetadataError(
      f"Expected metadata of version {_VERSION}. Received: {data[:1].hex() or 'none'}"
    )
  try:
    records = inflate(data[1:], MAX_BYTES)
  except ValueError as error:
    raise MetadataError(str(error)) from error
  found: dict[int, bytes] = {}
  place = last = 0
  while place < len(records):
    if place + _RECORD.size > len(records):
      raise MetadataError("Expected whole records. Received: one without its head")
    kind, size = _RECORD.unpack_from(records, place)
    place += _RECORD.size
    if kind <= last or size > len(records) - place:
      raise MetadataError(
        f"Expected whole records in order. Received: kind {kind} of {size:,} bytes"
      )
    found[kind], last = records[place : place + size], kind
    place += size
  return Metadata(exif=found.get(_EXIF, b""), xmp=found.get(_XMP, b""))
