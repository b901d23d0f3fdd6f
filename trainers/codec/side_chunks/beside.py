"""What goes along beside a picture in its stream: transparency and metadata.

Neither is worth losing the picture for: what cannot be read is said, and left out.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hardmine.trainers.codec.side_chunks import alpha_plane, metadata_chunk
from hardmine.trainers.codec.streams.stream import Stream
from hardmine.trainers.photo_metadata.metadata import Metadata


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
  """What a stream holds beside its picture.

  Attributes:
    alpha: uint8 [height_px, width_px], None where the picture is opaque.
    metadata: of the picture, may be empty.
    notes: lines about what could not be read.
  """

  alpha: np.ndarray | None
  metadata: Metadata
  notes: tuple[str, ...]

  def laid_on(self, image: np.ndarray) -> np.ndarray:
    """Decoded colours [height, width, 3], with a fourth channel where there is one."""
    return image if self.alpha is None else np.dstack((image, self.alpha))


def pack_side(
  image: np.ndarray, metadata: Metadata | None = None
) -> tuple[np.ndarray, dict[str, bytes]]:
  """The colours of a picture, and payloads of what goes along.

  Args:
    image: uint8 [height, width, 3 or 4].
    metadata: to go along.

  Returns:
    uint8 [height, width, 3], and payloads of the side chunks by their names; alpha
    that is opaque everywhere needs none.
  """
  side = {}
  if image.shape[2] == 4 and image[..., 3].min() < alpha_plane.OPAQUE:
    side[alpha_plane.NAME] = alpha_plane.pack_alpha(image[..., 3])
  if metadata:
    side[metadata_chunk.NAME] = metadata_chunk.pack_metadata(metadata)
  return image[..., :3], side


def read_beside(stream: Stream) -> Beside:
  """Reads what is there; raises nothing."""
  alpha, metadata, notes = None, Metadata(), []
  header, side = stream.header, stream.side
  if alpha_plane.NAME in side:
    try:
      alpha = alpha_plane.unpack_alpha(
        side[alpha_plane.NAME], header.height_px, header.width_px
      )
    except alpha_plane.AlphaError as error:
      notes.append(f"its transparency is left out: {error}")
  if metadata_chunk.NAME in side:
    try:
      metadata = metadata_chunk.unpack_metadata(side[metadata_chunk.NAME])
    except metadata_chunk.MetadataError as error:
      notes.append(f"its metadata is left out: {error}")
  return Beside(alpha=alpha, metadata=metadata, notes=tuple(notes))
