"""What an opened image file carries beside its pixels, as it lies there."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from PIL import Image

_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_IPTC, _BY_LINE, _COPYRIGHT_NOTICE = 0x0404, 80, 116  # Photoshop's number; IIM's
_XMP_TAG = 700
_MAX_TEXT = 2000  # letters of a name or a notice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embedded:
  """Of one file; nothing in it is looked into or trusted.

  Attributes:
    exif: with a prefix or without; the whole file where that is a TIFF.
    xmp: a packet.
    artist: as IPTC or a text of a PNG names one.
    copyright_text: likewise.
    has_texts: whether there is more in those, or a comment.
  """

  exif: bytes = b""
  xmp: bytes = b""
  artist: str = ""
  copyright_text: str = ""
  has_texts: bool = False


def embedded_in(image: Image.Image, data: bytes) -> Embedded:
  """Looks at an image whose pixels were read, and at its file."""
  try:
    return _embedded_in(image, data)
  except Exception:  # whatever is wrong beside the picture, the picture is there
    return Embedded()


def _embedded_in(image: Image.Image, data: bytes) -> Embedded:
  info, kind = image.info, image.format
  exif, xmp = info.get("exif") or b"", _xmp(image)
  if kind == "TIFF":
    exif = data
  elif not exif and "Raw profile type exif" in info:  # ImageMagick's, of PNGs
    exif = bytes.fromhex("".join(str(info["Raw profile type exif"]).split("\n")[3:]))
  texts = {key: value for key, value in info.items() if isinstance(value, str)}
  texts = {key: value for key, value in texts.items() if key in _TEXTS}
  iptc = dict(_iptc(info)) if kind in ("JPEG", "MPO") else {}
  notices = iptc.get(_COPYRIGHT_NOTICE) or texts.get("Copyright") or ""
  artists = iptc.get(_BY_LINE) or texts.get("Author") or texts.get("Artist") or ""
  more = set(iptc) - {0, _BY_LINE, _COPYRIGHT_NOTICE}
  more |= set(texts) - {"Copyright", "Author", "Artist"}
  return Embedded(
    exif=exif if isinstance(exif, bytes) else b"",
    xmp=xmp,
    artist=artists[:_MAX_TEXT],
    copyright_text=notices[:_MAX_TEXT],
    has_texts=bool(more) or bool(info.get("comment")),
  )


# The keywords that the PNG standard knows, but for the program's.
_TEXTS = {
  *("Title", "Author", "Artist", "Description", "Copyright", "Creation Time"),
  *("Disclaimer", "Warning", "Source", "Comment"),
}


def _xmp(image: Image.Image) -> bytes:
  info: dict[Any, Any] = image.info
  found = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
  if not found and image.format in ("JPEG", "MPO"):
    parts: list[tuple[str, bytes]] = getattr(image, "applist", [])
    parts = [one for one in parts if one[1].startswith(_XMP_HEAD)]
    found = parts[0][1].removeprefix(_XMP_HEAD) if parts else b""
  if not found and image.format == "TIFF":
    found = getattr(image, "tag_v2", {}).get(_XMP_TAG, b"")
  return found.encode("utf-8") if isinstance(found, str) else bytes(found)


def _iptc(info: dict[Any, Any]) -> Iterator[tuple[int, str]]:
  """Number and text of each of IIM's fields about the picture."""
  blocks = info.get("photoshop") or {}
  block, place = blocks.get(_IPTC, b""), 0
  while block[place : place + 1] == b"\x1c" and place + 5 <= len(block):
    record, field, size = struct.unpack_from(">BBH", block, place + 1)
    value = block[place + 5 : place + 5 + size]
    place += 5 + size
    if record == 2:
      try:
        yield field, value.decode("utf-8")
      except UnicodeDecodeError:
        yield field, value.decode("latin-1")
