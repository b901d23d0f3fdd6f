"""Which files are opened as photographs, and why the others are not.

`image_headers` says what kind of file it is. Pillow reads most kinds; HEIC and JPEG XL
need a package more each, which the extra `formats` brings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from hardmine.trainers import colour
from hardmine.trainers.image_headers import Header, read_header

# Photographs only: among Pillow's other readers some run outside programs (EPS).
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Pillow's word: the name, and what converts it where its package is missing.
_PLUGINS = {
  "HEIF": ("HEIC", "heif-convert IN OUT.png"),
  "JXL": ("JPEG XL", "djxl IN OUT.png"),
}


class ImageError(ValueError):
  """Bytes that are not a usable photograph.

  Attributes:
    reason: a word to count by: `empty`, `not_an_image`, `unsupported_format`,
      `missing_decoder`, `camera_raw`, `truncated`, `damaged`, `too_large`, `animated`,
      `several_pages`, `more_than_8_bits`, `high_dynamic_range` or `transparent`.
  """

  def __init__(self, reason: str, message: str):
    super().__init__(reason, message)  # both, or pickling loses one
    self.reason = reason

  def __str__(self) -> str:
    return self.args[1]


@contextlib.contextmanager
def open_image(data: bytes, max_pixels: int) -> Iterator[tuple[Image.Image, Header]]:
  """Reads the header, and refuses what need not be decoded for that.

  Args:
    data: a whole file.
    max_pixels: as in `images.decode_photograph`.

  Raises:
    ImageError: it is none of a usable photograph.
  """
  if not data:
    raise ImageError("empty", "Expected an image. Received: 0 bytes")
  header = read_header(data)
  _check_header(header)
  if header.size_px is not None:
    _check_size(header.size_px, max_pixels)
  with _read_with_pillow(data, header) as image:
    _check_size(image.size, max_pixels)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
      raise _too_deep(f"mode {image.mode}")
    if image.info.get("bit_depth", 8) > 8:  # of a HEIC whose properties do not tell
      raise _too_deep(f"{image.info['bit_depth']} bits")
    header = _with_nclx(header, image.info)
    _check_range(image.info, header)
    yield image, header


def _check_size(size_px: tuple[int, int], max_pixels: int) -> None:
  width_px, height_px = size_px
  if width_px * height_px > max_pixels:
    raise ImageError(
      "too_large",
      f"Expected at most {max_pixels:,} pixels. Received: {width_px}x{height_px}",
    )


def _with_nclx(header: Header, info: Mapping[Any, Any]) -> Header:
  """Adds code points of a HEIC that only its tiles have."""
  nclx = info.get("nclx_profile")
  if header.code_points is not None or not nclx:
    return header
  names = ("color_primaries", "transfer_characteristics", "matrix_coefficients")
  primaries, transfer, matrix = (int(nclx[name]) for name in names)
  codes = (primaries, transfer, matrix, int(nclx["full_range_flag"]))
  return dataclasses.replace(header, code_points=codes)


def _check_header(header: Header) -> None:
  if header.raw:
    raise ImageError(
      "camera_raw",
      "Expected a developed photograph; develop it first, as with `darktable-cli IN "
      f"OUT.png`. Received: a camera raw ({header.raw})",
    )
  _check_range({}, header)  # first: with 8 bits it would still be refused
  if header.bits > 8:
    raise _too_deep(f"{header.bits} bits" + " of floating point" * header.is_float)
  if header.is_sequence:
    raise ImageError("animated", "Expected one picture. Received: a sequence of frames")
  if header.format and not _has_plugin(header.format):
    name, program = _PLUGINS[header.format]
    raise ImageError(
      "missing_decoder",
      f"Expected a format that is read here; for {name} `pip install "
      f"'hardmine[formats]'`, or convert the image first, as with `{program}`. "
      f"Received: {name}",
    )


@functools.cache
def _has_plugin(kind: str) -> bool:
  """Registers what reads a format beyond Pillow's own; False where it is missing."""
  try:
    if kind == "HEIF":
      import pillow_heif

      pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False
      )
    else:
      import pillow_jxl  # noqa: F401 - registers itself
  except ImportError:
    return False
  return True


def _check_range(info: Mapping[Any, Any], header: Header) -> None:
  if transfer := colour.hdr_transfer(info, header):
    raise ImageError(
      "high_dynamic_range",
      "Expected a standard dynamic range; export the image for sRGB screens first. "
      f"Received: the transfer function {transfer}",
    )


def _too_deep(received: str) -> ImageError:
  return ImageError(
    "more_than_8_bits",
    "Expected 8 bits a channel; convert the image first, as with `magick IN -depth 8 "
    f"OUT.png`. Received: {received}",
  )


def _read_with_plugin(data: bytes, kind: str) -> Image.Image:
  factory, _ = Image.OPEN[kind]
  try:
    return factory(io.BytesIO(data), "")
  except Exception as error:
    text = str(error).lower()
    reason = "truncated" if "end of file" in text else "damaged"
    if "unsupported" in text:  # such as another codec than HEVC in a HEIC
      reason = "unsupported_format"
    raise ImageError(
      reason,
      f"Expected a whole {_PLUGINS[kind][0]} that its decoder can read. Received: "
      f"{len(data)} bytes starting with {data[:12]!r}",
    ) from error


def _read_with_pillow(data: bytes, header: Header) -> Image.Image:
  if header.format:
    return _read_with_plugin(data, header.format)
  Image.init()  # or formats beyond the commonest five are not registered yet
  known = [name for name in _FORMATS if name in Image.OPEN]
  try:
    return Image.open(io.BytesIO(data), formats=known)
  except Image.DecompressionBombError as error:
    raise ImageError("too_large", str(error)) from error
  except Exception as error:  # a plugin raises whatever its parser stumbled over
    received = f"Received: {len(data)} bytes starting with {data[:8]!r}"
    if header.has_picture:
      raise ImageError(
        "unsupported_format",
        "Expected a TIFF that Pillow can read; convert it first, as with `magick IN "
        f"OUT.png`. {received}",
      ) from error
    for name in known:
      accepts = Image.OPEN[name][1]
      if accepts is not None and accepts(data[:16]) is True:
        raise ImageError(
          "damaged", f"Expected a whole image; the {name} header is not. {received}"
        ) from error
    raise ImageError(
      "not_an_image", f"Expected an image ({', '.join(known)}). {received}"
    ) from error
