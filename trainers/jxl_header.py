"""The first bits of a JPEG XL file (ISO/IEC 18181-1, annex D): size, depth, frames.

The decoder answers in modes of 8 bits for deeper files too, knows no animations, and
needs the whole picture in memory before it tells a size; so all three are read here.
"""

from __future__ import annotations

import dataclasses

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_Choices = tuple[tuple[int, int], ...]  # each: what is added, and how many bits to


@dataclasses.dataclass(frozen=True, kw_only=True)
class JxlHeader:
  """What the codestream's first bits say.

  Attributes:
    width_px: as it lies in the file, before it is turned.
    height_px: likewise.
    orientation: 1 to 8 as EXIF's, but the decoder has applied it.
    is_animated: whether there is more than one frame.
    bits: of a channel.
    is_float: whether its numbers are floating point.
  """

  width_px: int
  height_px: int
  orientation: int = 1
  is_animated: bool = False
  bits: int = 8
  is_float: bool = False


class _Bits:
  """Reads numbers, the lowest bit of each byte first.

  Raises IndexError where there are no more.
  """

  def __init__(self, data: bytes):
    self._data = data
    self._place = 0

  def number(self, num_bits: int) -> int:
    value = 0
    for bit in range(num_bits):
      byte, shift = divmod(self._place, 8)
      value |= (self._data[byte] >> shift & 1) << bit
      self._place += 1
    return value

  def choice(self, *choices: tuple[int, int]) -> int:
    """One of four ways to write a number, told by two bits."""
    added, num_bits = choices[self.number(2)]
    return added + self.number(num_bits)


def read_jxl(codestream: bytes) -> JxlHeader:
  """Reads the codestream from its first two bytes on.

  Raises:
    IndexError: it is cut short.
  """
  bits = _Bits(codestream[2:66])
  width_px, height_px = _size(bits)
  if bits.number(1):  # all other fields have their defaults
    return JxlHeader(width_px=width_px, height_px=height_px)
  orientation, is_animated = 1, False
  if bits.number(1):
    orientation = 1 + bits.number(3)
    if bits.number(1):  # the size it is meant to be shown at
      _size(bits)
    if bits.number(1):
      _skip_preview(bits)
    is_animated = bool(bits.number(1))
    if is_animated:
      _skip_animation(bits)
  is_float = bool(bits.number(1))
  depths = ((32, 0), (16, 0), (24, 0), (1, 6)) if is_float else _DEPTHS
  return JxlHeader(
    width_px=width_px,
    height_px=height_px,
    orientation=orientation,
    is_animated=is_animated,
    bits=bits.choice(*depths),
    is_float=is_float,
  )


_DEPTHS: _Choices = ((8, 0), (10, 0), (12, 0), (1, 6))
_SIDES: _Choices = ((1, 9), (1, 13), (1, 18), (1, 30))
_SMALL_PREVIEWS: _Choices = ((16, 0), (32, 0), (1, 5), (33, 9))
_PREVIEWS: _Choices = ((1, 6), (65, 8), (321, 10), (1345, 12))


def _size(bits: _Bits) -> tuple[int, int]:
  """(width, height) in pixels."""
  is_small = bits.number(1)
  height_px = 8 * (1 + bits.number(5)) if is_small else bits.choice(*_SIDES)
  ratio = bits.number(3)
  if ratio:
    across, down = _RATIOS[ratio]
    return height_px * across // down, height_px
  width_px = 8 * (1 + bits.number(5)) if is_small else bits.choice(*_SIDES)
  return width_px, height_px


def _skip_preview(bits: _Bits) -> None:
  choices = _SMALL_PREVIEWS if bits.number(1) else _PREVIEWS
  bits.choice(*choices)
  if not bits.number(3):
    bits.choice(*choices)


def _skip_animation(bits: _Bits) -> None:
  bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
  bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
  bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
  bits.number(1)
