"""JPEG XL files whose headers say what the plugin cannot write, by the standard."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SRGB = ()  # of `header`: nothing is said


class Bits:
  """Writes numbers, the lowest bit of each byte first."""

  def __init__(self):
    self.bits: list[int] = []

  def number(self, value: int, num_bits: int) -> None:
    self.bits += [value >> place & 1 for place in range(num_bits)]

  def enum(self, value: int) -> None:
    if value < 2:
      self.number(value, 2)
    elif value < 18:
      self.number(2, 2)
      self.number(value - 2, 4)
    else:
      self.number(3, 2)
      self.number(value - 18, 6)

  def data(self) -> bytes:
    return np.packbits(self.bits, bitorder="little").tobytes()


def header(
  width: int,
  height: int,
  *,
  bits: int = 8,
  is_float: bool = False,
  orientation: int = 1,
  is_animated: bool = False,
  primaries: int | None = None,
  transfer: int = 13,
) -> bytes:
  """Up to the first frame, of RGB without loss (annex D and E.2).

  Args:
    width: in pixels.
    height: likewise.
    bits: of a channel.
    is_float: whether they are floating point.
    orientation: as EXIF's.
    is_animated: whether frames follow each other.
    primaries: 1 sRGB, 9 Rec. 2100, 11 P3; None says nothing of colours.
    transfer: 13 sRGB, 16 PQ; said with `primaries`.
  """
  out = Bits()
  out.number(0, 1)  # no small size
  for place, side in enumerate((height, width)):
    out.number(3, 2)
    out.number(side - 1, 30)
    if not place:
      out.number(0, 3)  # no ratio
  out.number(0, 1)  # not all defaults
  has_more = orientation > 1 or is_animated
  out.number(has_more, 1)
  if has_more:
    out.number(orientation - 1, 3)
    out.number(0, 2)  # neither intrinsic size nor preview
    out.number(is_animated, 1)
    if is_animated:
      out.number(0, 2 + 2 + 2 + 1)
  out.number(is_float, 1)
  out.number(3, 2)
  out.number(bits - 1, 6)
  if is_float:
    out.number(7, 4)
  out.number(1, 1)  # 16-bit buffers will do
  out.number(0, 2)  # no extra channels
  out.number(0, 1)  # no XYB
  out.number(primaries is None, 1)
  if primaries is not None:
    out.number(0, 1)  # no ICC profile
    out.enum(0)  # RGB
    out.enum(1)  # D65
    out.enum(primaries)
    out.number(0, 1)  # no gamma
    out.enum(transfer)
    out.enum(1)  # relative
  if has_more:
    out.number(1, 1)  # tone mapping of all defaults
  out.number(0, 2)  # no extensions
  out.number(1, 1)  # transforms of all defaults
  return b"\xff\x0a" + out.data()


def written(pixels: np.ndarray, **said) -> bytes:
  """A lossless file of uint8 [64, 96, 3] with another header."""
  import pillow_jxl  # noqa: F401 - registers itself

  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "JXL", lossless=True)
  plain = buffer.getvalue()
  # A small size of ratio 3:2, 8 bits, nothing of colours: three bytes.
  assert plain.startswith(bytes.fromhex("ff0a0f4124")), plain[:8].hex()
  return header(pixels.shape[1], pixels.shape[0], **said) + plain[5:]
