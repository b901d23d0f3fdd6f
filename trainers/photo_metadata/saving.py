"""Metadata as Pillow writes it into a file of a picture."""

from __future__ import annotations

import struct
from typing import Any

from PIL.PngImagePlugin import PngInfo

from hardmine.trainers.photo_metadata.exif import PREFIX
from hardmine.trainers.photo_metadata.metadata import Metadata
from hardmine.trainers.photo_metadata.xmp import packet

_SEGMENT = 65_533  # bytes that a segment of a JPEG holds
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def save_options(kind: str, metadata: Metadata) -> tuple[dict[str, Any], list[str]]:
  """How metadata goes into a file.

  Args:
    kind: Pillow's word for its format.
    metadata: of the picture.

  Returns:
    Arguments of `Image.save`, and the names of what such a file cannot hold.
  """
  exif, xmp = metadata.exif, packet(metadata.xmp)
  options: dict[str, Any] = {}
  if kind == "PNG":
    if exif:
      options["exif"] = exif
    if xmp:
      texts = PngInfo()
      texts.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8"))
      options["pnginfo"] = texts
    return options, []
  if kind == "WEBP":
    return {name: one for name, one in (("exif", exif), ("xmp", xmp)) if one}, []
  if kind != "JPEG":
    return {}, list(metadata.kinds)
  without = []
  if len(PREFIX + exif) > _SEGMENT:
    without.append("EXIF")
  elif exif:
    options["exif"] = PREFIX + exif
  if len(_XMP_HEAD + xmp) > _SEGMENT:
    without.append("XMP")
  elif xmp:
    length = struct.pack(">H", 2 + len(_XMP_HEAD + xmp))
    options["extra"] = b"\xff\xe1" + length + _XMP_HEAD + xmp
  return options, without
