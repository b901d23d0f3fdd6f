"""XMP for a picture as it is decoded: an XML without what no longer holds.

What describes the stored pixels, previews, and parts that other programs look for in
the file (depth, motion, gain maps) goes always; places and serial numbers unless they
are asked for. Whatever names they go by: properties are known by words in their names,
as every maker of cameras has a namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from hardmine.trainers.photo_metadata.exif_rules import (
  DAMAGED,
  LOCATION,
  MAKER_NOTES,
  SERIAL_NUMBERS,
  TOO_LARGE,
)

MAX_BYTES = 1 << 18  # parsed, it takes some four hundred times as much
_MAX_DEPTH = 100  # of elements; XMP has some ten
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_OF_THE_FILE = {
  *("Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression"),
  *("PhotometricInterpretation", "SamplesPerPixel", "PlanarConfiguration"),
  *("YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients", "TransferFunction"),
  *("WhitePoint", "PrimaryChromaticities", "ReferenceBlackWhite", "ColorSpace"),
  *("PixelXDimension", "PixelYDimension", "ComponentsConfiguration"),
  *("CompressedBitsPerPixel", "SubjectArea", "SubjectLocation", "Gamma"),
  *("ICCProfile", "ColorMode", "NativeDigest", "Thumbnails", "HasExtendedXMP"),
  *("hasExtendedXMP", "Regions", "RegionInfo"),
}
_OF_OTHER_PARTS = (
  "http://ns.google.com/photos/",
  "http://ns.adobe.com/hdr-gain-map/",
  "http://ns.apple.com/HDRGainMap/",
  "http://ns.apple.com/pixeldatainfo/",
)
_PLACES = {
  *("City", "State", "Country", "Location", "CountryCode", "CountryName"),
  *("LocationCreated", "LocationShown", "Sublocation", "ProvinceState", "WorldRegion"),
}
_PLACE_WORDS = ("gps", "latitude", "longitude", "altitude", "geotag")
_SERIAL_WORDS = ("serialnumber", "serialno")
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_TAIL = '<?xpacket end="r"?>'


def clean_xmp(data: bytes, *, keep_location: bool = False) -> tuple[bytes, set[str]]:
  """XMP for the picture as it is decoded.

  Args:
    data: a packet or what is in one, UTF-8; of which nothing is trusted.
    keep_location: keep places and serial numbers too.

  Returns:
    The XML, UTF-8 without the packet around it, empty where there is nothing to say,
    and words for what was left out.
  """
  if len(data) > MAX_BYTES:
    return b"", {TOO_LARGE}
  try:
    words = data.decode("utf-8-sig").strip("\0 \r\n\t")
    # Entities are the only part of XML that can grow, and XMP has none.
    if "<!DOCTYPE" in words.upper() or "<!ENTITY" in words.upper():
      return b"", {DAMAGED}
    document = minidom.parseString(words.encode("utf-8"))
  except (UnicodeError, ExpatError, ValueError):
    return b"", {DAMAGED}
  root = document.documentElement
  if root is None or _is_deep(root):
    return b"", {DAMAGED}
  left_out: set[str] = set()
  for node in list(_elements(root)):
    _clean(node, keep_location, left_out)
  if not any(_says_something(node) for node in _elements(root)):
    return b"", left_out
  return root.toxml().encode("utf-8"), left_out


def packet(xml: bytes) -> bytes:
  """XMP as it is embedded in files: between processing instructions, read-only."""
  return _HEAD.encode("utf-8") + xml + _TAIL.encode("utf-8") if xml else b""


def _elements(root: minidom.Element) -> Iterator[minidom.Element]:
  """All, from the outermost in, without calls within calls."""
  waiting = [root]
  while waiting:
    node = waiting.pop()
    yield node
    waiting += [one for one in node.childNodes if isinstance(one, minidom.Element)]


def _is_deep(root: minidom.Element) -> bool:
  level = [root]
  for _ in range(_MAX_DEPTH):
    level = [
      one
      for node in level
      for one in node.childNodes
      if isinstance(one, minidom.Element)
    ]
    if not level:
      return False
  return True


def _clean(node: minidom.Element, keep_location: bool, left_out: set[str]) -> None:
  for attribute in list(node.attributes.values()):
    space = attribute.namespaceURI or ""
    if space not in (_XMLNS, _RDF) and not _stays(
      space, attribute.localName, keep_location, left_out
    ):
      node.removeAttributeNode(attribute)
  parent = node.parentNode
  space, name = node.namespaceURI or "", node.localName
  if space == _RDF or not isinstance(parent, minidom.Element):
    return
  if not _stays(space, name, keep_location, left_out):
    parent.removeChild(node)


def _stays(space: str, name: str, keep_location: bool, left_out: set[str]) -> bool:
  if name in _OF_THE_FILE or space.startswith(_OF_OTHER_PARTS):
    return False
  lower = name.lower()
  if lower == "makernote":
    word = MAKER_NOTES
  elif name in _PLACES or any(part in lower for part in _PLACE_WORDS):
    word = "" if keep_location else LOCATION
  elif any(part in lower for part in _SERIAL_WORDS):
    word = "" if keep_location else SERIAL_NUMBERS
  else:
    return True
  if word:
    left_out.add(word)
  return not word


def _says_something(node: minidom.Element) -> bool:
  """Whether it is a description with a property."""
  if (node.namespaceURI, node.localName) != (_RDF, "Description"):
    return False
  own = [a for a in node.attributes.values() if a.namespaceURI not in (_XMLNS, _RDF)]
  return bool(own) or any(isinstance(one, minidom.Element) for one in node.childNodes)
