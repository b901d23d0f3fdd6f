"""Which of a photograph's EXIF goes with its decoded picture, and what changes.

What tells of the moment, the camera and the author stays. What describes the bytes of
the file that it came from does not: its tables, previews, and colours, which are sRGB
now. The picture has been turned, so its sides are, too. A maker's notes hold offsets
into the old file and, in secret forms, serial numbers and places.
"""

from __future__ import annotations

import dataclasses

from hardmine.trainers.photo_metadata.exif import (
  ASCII,
  GPS,
  MAIN,
  PHOTO,
  Entry,
  Exif,
  ExifError,
  long,
  read_exif,
  short,
  text,
  write_exif,
)

LOCATION, SERIAL_NUMBERS = "location", "serial numbers"
MAKER_NOTES, DAMAGED, TOO_LARGE = "maker notes", "damaged parts", "oversized parts"

ORIENTATION, ARTIST, COPYRIGHT = 0x0112, 0x013B, 0x8298
_RESOLUTIONS = 0x011A, 0x011B
_WIDTH, _HEIGHT, _COLOUR_SPACE = 0xA002, 0xA003, 0xA001
_MAKER_NOTE = 0x927C
_SRGB = 1
_LOCATION = {(MAIN, 0x8825)}
_SERIAL_NUMBERS = {
  (MAIN, 0xC62F),  # of a DNG's camera
  (PHOTO, 0xA431),
  (PHOTO, 0xA435),
}
# Of the first directory, what says where and how a TIFF's pixels lie, or which colours
# they have; and XMP, IPTC, Photoshop's blocks, ICC, which are no business of EXIF's.
_OF_THE_FILE = {
  *range(0x00FE, 0x0108),
  *(0x010A, 0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C),
  *(0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0125, 0x012D, 0x013D, 0x013E, 0x013F),
  *range(0x0140, 0x0160),
  *range(0x0200, 0x020A),
  *range(0x0211, 0x0215),
  *(0x02BC, 0x4746, 0x4749, 0x828D, 0x828E, 0x83BB, 0x8649, 0x8773, 0x935C, 0xEA1C),
  *range(0xC612, 0xC7F0),  # DNG's
}
# Tags below are those of GPS, which nobody is to find under another name.
_LEAST = {MAIN: 0x00FE, PHOTO: 0x829A}
# Exif's own about the bytes, and places in the picture as it was stored.
_OF_THE_PICTURE = {0x8769, 0x8825, 0xA005, 0xEA1C, 0x9101, 0x9102, 0x9214, 0xA214}
_OF_THE_PICTURE |= {0xA302, 0xA500}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
  """How a picture came to be shown.

  Attributes:
    height_px: of the picture as it is shown.
    width_px: likewise.
    orientation: EXIF's, which was applied; 1 where nothing was.
  """

  height_px: int
  width_px: int
  orientation: int = 1

  @property
  def is_turned(self) -> bool:
    """Whether height was width."""
    return self.orientation >= 5


def clean_exif(
  data: bytes,
  shown: Shown,
  *,
  keep_location: bool = False,
  artist: str = "",
  copyright_text: str = "",
) -> tuple[bytes, set[str]]:
  """EXIF for the picture as it is shown.

  Args:
    data: of the file, with or without a prefix; may be empty.
    shown: the picture.
    keep_location: keep places and serial numbers too.
    artist: of another part of the file; says so where EXIF does not.
    copyright_text: likewise.

  Returns:
    A TIFF without a prefix, empty where there is nothing to say, and words for what
    was left out.
  """
  left_out: set[str] = set()

  def wanted(directory: str, tag: int) -> bool:
    word = _private(directory, tag)
    if word == MAKER_NOTES or (word and not keep_location):
      left_out.add(word)
      return False
    if directory == MAIN:
      return tag not in _OF_THE_FILE and tag >= _LEAST[MAIN]
    return directory == GPS or (tag not in _OF_THE_PICTURE and tag >= _LEAST[PHOTO])

  try:
    exif = read_exif(data, wanted) if data else Exif(order="<", directories={})
  except ExifError:
    exif = Exif(order="<", directories={}, problems=frozenset(["damaged"]))
  words = {"damaged": DAMAGED, "too_large": TOO_LARGE}
  left_out |= {words[problem] for problem in exif.problems}
  main = exif.directories.setdefault(MAIN, {})
  for tag, value in ((ARTIST, artist), (COPYRIGHT, copyright_text)):
    if value and not main.get(tag, Entry(kind=ASCII, value=b"")).value.strip(b"\0 "):
      main[tag] = text(value)
  main.pop(ORIENTATION, None)
  if not any(exif.directories.values()):
    return b"", left_out
  _describe(exif, shown)
  return write_exif(exif.order, exif.directories), left_out


def _private(directory: str, tag: int) -> str:
  """The word for what is left out of a tag, or empty."""
  if (directory, tag) in _LOCATION or directory == GPS:
    return LOCATION
  if (directory, tag) in _SERIAL_NUMBERS:
    return SERIAL_NUMBERS
  return MAKER_NOTES if (directory, tag) == (PHOTO, _MAKER_NOTE) else ""


def _describe(exif: Exif, shown: Shown) -> None:
  """Has what describes the picture itself be true of it as it is shown."""
  order, main = exif.order, exif.directories[MAIN]
  main[ORIENTATION] = short(order, 1)
  if shown.is_turned:
    across, down = (main.pop(tag, None) for tag in _RESOLUTIONS)
    for tag, entry in zip(_RESOLUTIONS, (down, across)):
      if entry is not None:
        main[tag] = entry
  photo = exif.directories.get(PHOTO)
  if photo:
    for tag, side_px in ((_WIDTH, shown.width_px), (_HEIGHT, shown.height_px)):
      if tag in photo:
        photo[tag] = long(order, side_px)
    if _COLOUR_SPACE in photo:
      photo[_COLOUR_SPACE] = short(order, _SRGB)
