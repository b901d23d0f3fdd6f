"""What the bytes of an image file say of themselves, read without decoding it.

Pillow's modes are 8 bits wide for many a deeper file, and it takes the preview of a
camera raw for its picture. So depth and kind are read here, from the file's own tags.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Iterator

from hardmine.trainers.jxl_header import CODESTREAM, CONTAINER, read_jxl

_PNG = b"\x89PNG\r\n\x1a\n"
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_TIFF = {  # byte order, and whether offsets have 64 bits
  b"II*\0": ("<", False),
  b"MM\0*": (">", False),
  b"II+\0": ("<", True),
  b"MM\0+": (">", True),
}
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _SUB_IFDS = 254, 258, 262, 330
_SAMPLE_FORMAT, _DNG_VERSION = 339, 50706
_OFFSETS = {273, 324}  # of strips and of tiles
_SENSOR_DATA = (32803, 34892)  # photometric: a colour filter array, linear raw
_RAW_MAGIC = (  # offset, bytes, name
  (0, b"FUJIFILMCCD-RAW", "RAF"),
  (0, b"IIU\0", "RW2"),
  (0, b"IIRO", "ORF"),
  (0, b"IIRS", "ORF"),
  (0, b"MMOR", "ORF"),
  (0, b"\0MRM", "MRW"),
  (0, b"FOVb", "X3F"),
  (4, b"ftypcrx ", "CR3"),
  (6, b"HEAPCCDR", "CRW"),
)
_HEIF_BRANDS = {b"mif1", b"msf1", b"miaf", b"MiHE", b"MiHB"} | {
  b"hei" + letter for letter in (b"c", b"x", b"m", b"s")
}
_HEIF_BRANDS |= {b"hev" + letter for letter in (b"c", b"x", b"m", b"s")}
_PPM_HEADER = re.compile(rb"P[2356](?:(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})){3}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
  """What a file says of itself; what it does not say has the value of doing so.

  Attributes:
    bits: of the deepest channel of the picture, 8 where nothing else is said.
    is_float: whether its numbers are floating point.
    raw: the name of a camera's raw format, or empty.
    format: `HEIF` or `JXL`, which Pillow reads with a package more, or empty.
    size_px: width and height, where they are to be known before all is decoded.
    is_turned: whether the decoder turns or mirrors the picture as the file says.
    is_sequence: whether there are several frames, which the decoder may not tell.
    has_picture: whether a TIFF's first directory is whole and lists its pixels.
    code_points: colour primaries, transfer function, matrix and full range flag as
      in ITU-T H.273, from PNG's cICP or the nclx box of an AVIF.
    icc_profile: of a JPEG 2000, which Pillow does not hand out.
  """

  bits: int = 8
  is_float: bool = False
  raw: str = ""
  format: str = ""
  size_px: tuple[int, int] | None = None
  is_turned: bool = False
  is_sequence: bool = False
  has_picture: bool = False
  code_points: tuple[int, int, int, int] | None = None
  icc_profile: bytes | None = None


def read_header(data: bytes) -> Header:
  """Reads as much as is whole; a file cut short or of no known kind says little."""
  for offset, magic, name in _RAW_MAGIC:
    if data.startswith(magic, offset):
      return Header(raw=name)
  try:
    return _read(data)
  except (struct.error, IndexError):  # cut short: its decoder will say so
    return Header()


def _read(data: bytes) -> Header:
  if data.startswith(b"\xff\xd8"):
    return Header(bits=_jpeg_bits(data))
  if data.startswith(_PNG):
    return _png_header(data)
  if data[:4] in _TIFF:
    return _tiff_header(data)
  if data[4:8] == b"ftyp":
    return _heif_header(data)
  if data.startswith((_JP2, b"\xff\x4f\xff\x51")):
    return _jpeg_2000_header(data)
  if data.startswith((CODESTREAM, CONTAINER)):
    return _jxl_header(data)
  if data.startswith(b"Pf"):
    return Header(bits=32, is_float=True)
  if found := _PPM_HEADER.match(data):
    return Header(bits=max(8, int(found[1]).bit_length()))
  return Header()


def _jpeg_bits(data: bytes) -> int:
  place = 2
  while place < len(data):
    if data[place] != 0xFF:  # nothing may lie between segments
      break
    marker = data[place + 1]
    if marker == 0xFF:  # a filling byte
      place += 1
    elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
      place += 2
    elif marker in (0xD9, 0xDA):
      break
    elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
      return data[place + 4]
    else:
      place += 2 + max(2, struct.unpack_from(">H", data, place + 2)[0])
  return 8


def _png_header(data: bytes) -> Header:
  bits, code_points, place = data[24], None, 8
  while place + 8 <= len(data):
    length, kind = struct.unpack_from(">I4s", data, place)
    if kind == b"cICP" and length == 4:
      code_points = struct.unpack_from("4B", data, place + 8)
    elif kind == b"IDAT":  # what describes colours comes before pixels
      break
    place += length + 12
  return Header(bits=bits, code_points=code_points)


def _tiff_header(data: bytes) -> Header:
  tags = _tiff_directory(data)
  is_preview = tags.get(_NEW_SUBFILE_TYPE, (0,))[0] & 1
  raw = ""
  if _DNG_VERSION in tags:
    raw = "DNG"
  elif data[8:10] == b"CR":
    raw = "CR2"
  elif is_preview and _SUB_IFDS in tags:
    raw = "TIFF with a preview before its picture"
  elif tags.get(_PHOTOMETRIC, (0,))[0] in _SENSOR_DATA:
    raw = "TIFF of sensor data"
  return Header(
    bits=max(tags.get(_BITS_PER_SAMPLE, (1,))),
    is_float=3 in tags.get(_SAMPLE_FORMAT, (1,)),
    raw=raw,
    has_picture=bool(_OFFSETS & set(tags)),
  )


def _tiff_directory(data: bytes) -> dict[int, tuple[int, ...]]:
  """Tags of the first directory; only whole numbers have their values, others 0."""
  order, is_big = _TIFF[data[:4]]
  word, count_kind, entry_size = ("Q", "Q", 20) if is_big else ("I", "H", 12)
  word_size, head = struct.calcsize(word), struct.calcsize("=" + count_kind)
  (place,) = struct.unpack_from(order + word, data, 8 if is_big else 4)
  (num_entries,) = struct.unpack_from(order + count_kind, data, place)
  tags: dict[int, tuple[int, ...]] = {}
  for number in range(min(num_entries, 4096)):
    entry = place + head + number * entry_size
    tag, kind, count = struct.unpack_from(f"{order}HH{word}", data, entry)
    letter = _TIFF_NUMBERS.get(kind)
    if letter is None or not 0 < count <= 64:  # neither is any tag that is read here
      tags[tag] = (0,)
      continue
    layout = f"{order}{count}{letter}"
    value = entry + 4 + word_size
    if struct.calcsize(layout) > word_size:
      (value,) = struct.unpack_from(order + word, data, value)
    tags[tag] = struct.unpack_from(layout, data, value)
  return tags


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
  """(kind, start, end) of the bodies of the ISO boxes between two places."""
  while start + 8 <= end:
    size, kind = struct.unpack_from(">I4s", data, start)
    head = 8
    if size == 1:
      (size,), head = struct.unpack_from(">Q", data, start + 8), 16
    stop = end if size == 0 else min(start + size, end)
    if stop < start + head:
      return
    yield kind, start + head, stop
    start = stop


def _box(data: bytes, kind: bytes, start: int, end: int) -> tuple[int, int]:
  """The body of the first box of a kind, empty where there is none."""
  for found, first, last in _boxes(data, start, end):
    if found == kind:
      return first, last
  return end, end


def _heif_header(data: bytes) -> Header:
  first, last = _box(data, b"ftyp", 0, len(data))
  brands = {data[first : first + 4]}
  brands |= {data[place : place + 4] for place in range(first + 8, last, 4)}
  is_avif = bool(brands & {b"avif", b"avis"})
  if not is_avif and not brands & _HEIF_BRANDS:
    return Header()
  bits, code_points, is_turned = 8, None, False
  for kind, start, end in _picture_properties(data):
    if kind == b"pixi":
      bits = max(bits, *data[start + 5 : end])
    elif kind == b"av1C":  # two flags: 10 bits and more, 12 bits
      bits = max(bits, 8 + 2 * (data[start + 2] >> 5 & 3).bit_count())
    elif kind == b"hvcC":
      bits = max(bits, *(8 + (data[start + place] & 7) for place in (17, 18)))
    elif kind == b"colr" and data[start : start + 4] == b"nclx":
      primaries, transfer, matrix, flags = struct.unpack_from(">3HB", data, start + 4)
      code_points = (primaries, transfer, matrix, flags >> 7)
    elif kind == b"imir" or (kind == b"irot" and data[start] & 3):
      is_turned = True
  return Header(
    bits=bits,
    code_points=code_points,
    format="" if is_avif else "HEIF",
    is_turned=is_turned and not is_avif,  # of AVIF Pillow tells it as EXIF
    is_sequence=not is_avif and _is_sequence(data),
  )


def _is_sequence(data: bytes) -> bool:
  kinds = {kind for kind, _, _ in _boxes(data, 0, len(data))}
  return b"moov" in kinds and b"meta" not in kinds


def _jxl_header(data: bytes) -> Header:
  codestream = data
  if data.startswith(CONTAINER):
    boxes = list(_boxes(data, 0, len(data)))
    first = min((b for b in boxes if b[0] in (b"jxlc", b"jxlp")), default=None)
    if first is None:
      return Header(format="JXL")
    kind, start, end = first
    codestream = data[start + (4 if kind == b"jxlp" else 0) : end]  # numbered parts
  try:
    found = read_jxl(codestream)
  except IndexError:  # cut short: its decoder will say so
    return Header(format="JXL")
  return Header(
    format="JXL",
    bits=max(8, found.bits),
    is_float=found.is_float,
    size_px=(found.width_px, found.height_px),
    is_turned=found.orientation > 1,
    is_sequence=found.is_animated,
  )


def _picture_properties(data: bytes) -> list[tuple[bytes, int, int]]:
  """Of the primary item alone: previews and gain maps have others."""
  try:
    return _linked_properties(data)
  except (struct.error, IndexError):  # cut short: its decoder will say so
    return []


def _linked_properties(data: bytes) -> list[tuple[bytes, int, int]]:
  start, end = _box(data, b"meta", 0, len(data))
  start += 4  # version and flags
  primary, _ = _box(data, b"pitm", start, end)
  if primary >= end:  # a sequence has none
    return []
  (item,) = struct.unpack_from(">I" if data[primary] else ">H", data, primary + 4)
  properties = _box(data, b"iprp", start, end)
  known = list(_boxes(data, *_box(data, b"ipco", *properties)))
  place, _ = _box(data, b"ipma", *properties)
  version, flags, num_items = data[place], data[place + 3], 0
  (num_items,), place = struct.unpack_from(">I", data, place + 4), place + 8
  for _ in range(num_items):
    found, num_linked = struct.unpack_from(">IB" if version else ">HB", data, place)
    place += 5 if version else 3
    layout = f">{num_linked}{'H' if flags & 1 else 'B'}"
    linked = struct.unpack_from(layout, data, place)
    place += struct.calcsize(layout)
    if found == item:  # the highest bit says whether a reader must know it
      numbers = [number & (0x7FFF if flags & 1 else 0x7F) for number in linked]
      return [known[number - 1] for number in numbers if 0 < number <= len(known)]
  return []


def _jpeg_2000_header(data: bytes) -> Header:
  profile, place = None, 0
  if data.startswith(_JP2):
    for kind, start, end in _boxes(data, *_box(data, b"jp2h", 0, len(data))):
      if kind == b"colr" and data[start] == 2:  # a profile; 1 is a number: sRGB, grey
        profile = data[start + 3 : end]
    place, _ = _box(data, b"jp2c", 0, len(data))
  (num_channels,) = struct.unpack_from(">H", data, place + 40)
  depths = data[place + 42 : place + 42 + 3 * num_channels : 3]
  bits = max(((depth & 0x7F) + 1 for depth in depths), default=8)
  return Header(bits=bits, icc_profile=profile)
