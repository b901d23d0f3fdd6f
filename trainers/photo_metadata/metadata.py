"""What goes with a picture from its photograph to its decoded file."""

from __future__ import annotations

import dataclasses

from hardmine.trainers.photo_metadata.embedded import Embedded
from hardmine.trainers.photo_metadata.exif_rules import Shown, clean_exif
from hardmine.trainers.photo_metadata.xmp import clean_xmp

TEXTS = "comments"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metadata:
  """Metadata of a picture that stands upright, in sRGB.

  Attributes:
    exif: a TIFF without a prefix, or empty.
    xmp: XML, UTF-8, without the packet around it, or empty.
  """

  exif: bytes = b""
  xmp: bytes = b""

  def __bool__(self) -> bool:
    return bool(self.exif or self.xmp)

  @property
  def kinds(self) -> tuple[str, ...]:
    """The names of those that are there."""
    return tuple(
      name for name, value in (("EXIF", self.exif), ("XMP", self.xmp)) if value
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cleaned:
  """What may go along.

  Attributes:
    metadata: may be empty.
    left_out: words for what a photograph had besides.
  """

  metadata: Metadata
  left_out: tuple[str, ...]

  def __bool__(self) -> bool:
    """Whether the photograph had any."""
    return bool(self.metadata or self.left_out)


def clean(embedded: Embedded, shown: Shown, *, keep_location: bool = False) -> Cleaned:
  """Metadata for the picture as it is shown.

  Args:
    embedded: in the photograph's file.
    shown: the picture.
    keep_location: keep places and serial numbers too.
  """
  exif, without = clean_exif(
    embedded.exif,
    shown,
    keep_location=keep_location,
    artist=embedded.artist,
    copyright_text=embedded.copyright_text,
  )
  xmp, more = b"", set()
  if embedded.xmp:
    xmp, more = clean_xmp(embedded.xmp, keep_location=keep_location)
  without |= more | ({TEXTS} if embedded.has_texts else set())
  return Cleaned(metadata=Metadata(exif=exif, xmp=xmp), left_out=tuple(sorted(without)))
