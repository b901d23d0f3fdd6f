"""What was found in the file of a compressed image, its bits still packed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.stream_header import Header, code_grid

_POSITION_BYTES = CODE_DEPTH // 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream:
  """A decoded stream.

  Attributes:
    header: as written; `header.iterations` counts the missing ones too.
    payloads: uint8 [iterations, header.payload_bytes], of what was there.
    num_missing: iterations that were asked for and lie beyond the end of the file.
  """

  header: Header
  payloads: np.ndarray
  num_missing: int

  @property
  def iterations(self) -> int:
    """How many were there, of those that were asked for."""
    return len(self.payloads)

  @property
  def codes(self) -> np.ndarray:
    """uint8 {0, 1} [iterations, rows, columns, 32], of a picture that is whole."""
    return self.window(slice(None), slice(None))

  @property
  def gains(self) -> np.ndarray:
    """uint8 [iterations, tiles], k of each; zeros where the model sends none.

    [iterations] of a picture that is whole.
    """
    num_tiles = self.header.tiles.num_tiles
    gains = np.zeros((self.iterations, num_tiles), np.uint8)
    if self.header.sends_gains:
      gains = self.payloads[:, :num_tiles]
    return gains if self.header.tiling is not None else gains[:, 0]

  def window(self, rows: slice, columns: slice) -> np.ndarray:
    """Codes of some positions of a picture that is whole, unpacked alone."""
    planes = self.payloads[:, self.header.num_gains :]
    grid = planes.reshape(self.iterations, *self.header.grid, _POSITION_BYTES)
    return _unpacked(grid[:, rows, columns])

  def tiles(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Codes and gains of every tile, as the network takes them, one at a time."""
    header, offset = self.header, self.header.num_gains
    gains = self.gains.reshape(self.iterations, -1)
    for index, (rows, columns) in enumerate(header.tiles):
      shape = tile_shape(header, rows, columns)
      end = offset + shape[0] * shape[1] * _POSITION_BYTES
      packed = self.payloads[:, offset:end].reshape(-1, *shape, _POSITION_BYTES)
      yield _unpacked(packed), gains[:, index]
      offset = end

  @property
  def note(self) -> str | None:
    """One line about what is missing, or None."""
    if not self.num_missing:
      return None
    found = self.iterations
    return (
      f"the file is cut short: decoded {found} of {found + self.num_missing} iterations"
    )


def tile_shape(header: Header, rows: slice, columns: slice) -> tuple[int, int]:
  """Rows and columns of the code of a tile."""
  return code_grid(
    rows.stop - rows.start, columns.stop - columns.start, header.padding_px
  )


def _unpacked(packed: np.ndarray) -> np.ndarray:
  """uint8 [..., 4] to {0, 1} [..., 32]."""
  return np.unpackbits(packed, axis=-1)
