"""A picture's transparency as the side chunk of its stream, without loss.

    0   1  how a byte at row y, column x is told from those before it:
             0  a(y, x)
             1  a(y, x) - a(y, x-1)
             2  a(y, x) - a(y-1, x)
             3  a(y, x) - a(y, x-1) - a(y-1, x) + a(y-1, x-1)
           modulo 256, with 0 for what lies outside
    1      a zlib stream (RFC 1950) of them, row by row, width * height bytes

Alpha is 0 where nothing is seen and 255 where the picture is opaque; colours are not
multiplied by it. The writer takes what gives the fewest bytes. A plane that is opaque
everywhere is not written.
"""

from __future__ import annotations

import zlib

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.side_chunks.inflating import inflate

NAME = "alpha"  # of the side chunk
OPAQUE = 255
_WAYS = range(4)
_MOST_GROWTH = 1040  # deflate makes at most 1032 bytes of one


class AlphaError(ValueError):
  """A chunk that is none, in one line."""


def pack_alpha(plane: np.ndarray) -> bytes:
  """The chunk's payload of uint8 [height, width], equal for equal planes."""
  require(
    plane.ndim == 2 and plane.dtype == np.uint8 and plane.size > 0,
    "alpha as uint8 [height, width]",
    shape=plane.shape,
    dtype=str(plane.dtype),
  )
  best = min(_WAYS, key=lambda way: len(zlib.compress(_differences(plane, way), 1)))
  return bytes([best]) + zlib.compress(_differences(plane, best), 9)


def unpack_alpha(data: bytes, height_px: int, width_px: int) -> np.ndarray:
  """Inverts `pack_alpha`.

  Raises:
    AlphaError: it is damaged or of another size; nothing large was allocated unless
      the bytes can hold it.
  """
  pixels = height_px * width_px
  if not data or data[0] not in _WAYS or pixels > _MOST_GROWTH * len(data):
    raise AlphaError(
      f"Expected alpha of {width_px}x{height_px} pixels. Received: {len(data):,} bytes "
      f"that begin with {data[:1].hex() or 'nothing'}"
    )
  try:
    values = inflate(data[1:], pixels)
  except ValueError as error:
    raise AlphaError(str(error)) from error
  if len(values) != pixels:
    raise AlphaError(
      f"Expected alpha of {width_px}x{height_px} pixels. Received: {len(values):,}"
    )
  way, plane = data[0], np.frombuffer(values, np.uint8).reshape(height_px, width_px)
  if way & 1:
    plane = np.cumsum(plane, axis=1, dtype=np.uint8)
  if way & 2:
    plane = np.cumsum(plane, axis=0, dtype=np.uint8)
  return plane


def composite(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
  """A picture over one colour.

  Args:
    image: uint8 [height, width, 4], not multiplied by its alpha.
    colour: R, G, B.

  Returns:
    uint8 [height, width, 3], rounded.
  """
  result = np.empty((*image.shape[:2], 3), np.uint8)
  ground = np.array(colour, np.uint32)
  for row, pixels in enumerate(image):  # a row at a time: sums take four times as much
    alpha = pixels[:, 3:].astype(np.uint32)
    mixed = pixels[:, :3] * alpha + ground * (OPAQUE - alpha)
    result[row] = (mixed + OPAQUE // 2) // OPAQUE
  return result


def _differences(plane: np.ndarray, way: int) -> bytes:
  found = plane
  if way & 1:
    found = np.diff(found, axis=1, prepend=np.uint8(0))
  if way & 2:
    found = np.diff(found, axis=0, prepend=np.uint8(0))
  return found.tobytes()
