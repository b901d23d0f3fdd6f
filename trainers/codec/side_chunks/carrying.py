"""What goes from a photograph into its stream beside the colours, as people ask for."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.side_chunks.alpha_plane import composite
from hardmine.trainers.images import Photograph
from hardmine.trainers.photo_metadata.exif_rules import Shown
from hardmine.trainers.photo_metadata.metadata import Cleaned, Metadata, clean

KEEP = "keep"  # transparency as it is
_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carried:
  """Of one photograph.

  Attributes:
    image: uint8 [height, width, 3], or 4 with alpha that is kept.
    metadata: to go along; may be empty.
    found: what there was, and what of it may go along.
    is_transparent: the photograph was.
  """

  image: np.ndarray
  metadata: Metadata
  found: Cleaned
  is_transparent: bool

  @property
  def left_out(self) -> tuple[str, ...]:
    """Words for metadata that stays behind."""
    return self.found.left_out + (() if self.metadata else self.found.metadata.kinds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carrying:
  """What is asked for.

  Attributes:
    alpha: `keep`, or the colour that a transparent picture is laid over, as #ffffff.
    keep_metadata: EXIF, XMP, and who may copy.
    keep_location: places and serial numbers in them, too.
  """

  alpha: str = KEEP
  keep_metadata: bool = False
  keep_location: bool = False

  def __post_init__(self):
    ground_of(self.alpha)
    require(
      self.keep_metadata or not self.keep_location,
      "a location to be kept with its metadata (--keep-metadata)",
      keep_location=self.keep_location,
    )

  def of(self, photograph: Photograph) -> Carried:
    """What is encoded of a photograph that was decoded with its alpha."""
    height_px, width_px, _ = photograph.pixels.shape
    shown = Shown(
      height_px=height_px, width_px=width_px, orientation=photograph.orientation
    )
    # Without being asked, all is looked at, so that what is left out can be said.
    keep = self.keep_location or not self.keep_metadata
    found = clean(photograph.embedded, shown, keep_location=keep)
    image, ground = photograph.pixels, ground_of(self.alpha)
    if photograph.alpha is not None:
      image = np.dstack((image, photograph.alpha))
      image = image if ground is None else composite(image, ground)
    return Carried(
      image=image,
      metadata=found.metadata if self.keep_metadata else Metadata(),
      found=found,
      is_transparent=photograph.alpha is not None,
    )


def ground_of(alpha: str) -> tuple[int, int, int] | None:
  """The colour that transparent pictures are laid over, R, G, B; None to keep alpha.

  Raises:
    ValueError: it is neither `keep` nor a colour.
  """
  if alpha == KEEP:
    return None
  found = _COLOUR.fullmatch(alpha)
  if found is None:
    raise ValueError(
      f"Expected alpha as {KEEP!r}, or a colour such as '#ffffff' for white. Received: "
      f"alpha={alpha!r}"
    )
  red, green, blue = (int(part, 16) for part in found.groups())
  return red, green, blue
