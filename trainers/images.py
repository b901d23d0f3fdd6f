"""The one decoder of photographs: bytes as users bring them to 8-bit RGB.

Mining, evaluation and the command line all read through here, so a photograph is
refused, rotated or converted in the same way everywhere. It needs Pillow only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

from hardmine.schemas.config import require

MAX_PIXELS = 1 << 28  # the largest photograph a codec's stream may hold

# Photographs only: among Pillow's other readers some run outside programs (EPS).
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_ORIENTATION = 0x0112  # the EXIF tag
_TRANSPOSE = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}
# Raw modes such as `RGB;16B` are read as 8 bits without a word; a bitmap's
# `BGR;16` is 5+6+5 bits and loses nothing.
_SIXTEEN_BIT_RAW_MODE = re.compile(r"(?<!BGR);16")


class ImageError(ValueError):
  """Bytes that are not a usable photograph.

  Attributes:
    reason: a word to count by: `empty`, `not_an_image`, `truncated`, `damaged`,
      `too_large`, `animated`, `more_than_8_bits` or `transparent`.
  """

  def __init__(self, reason: str, message: str):
    super().__init__(reason, message)  # both, or pickling loses one
    self.reason = reason

  def __str__(self) -> str:
    return self.args[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photograph:
  """Pixels as a viewer would show them, and what was done to get them.

  Attributes:
    pixels: uint8 [height_px, width_px, 3] RGB.
    notes: words to count by, among `grey`, `converted` (palette, CMYK),
      `turned` (EXIF orientation) and `opaque_alpha` (a channel that was dropped).
  """

  pixels: np.ndarray
  notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotographFacts:
  """What is known of a photograph whose pixels nobody needs.

  Attributes:
    height_px: as a viewer shows it, EXIF orientation applied.
    width_px: likewise.
    format: Pillow's word, as `JPEG` (of a multi-picture file, too) or `PNG`.
    notes: as in `Photograph`.
  """

  height_px: int
  width_px: int
  format: str
  notes: tuple[str, ...]


def decode_photograph(
  data: bytes, *, max_pixels: int = MAX_PIXELS, max_side_px: int | None = None
) -> Photograph:
  """Decodes a photograph the way a viewer would show it.

  The content decides about the format, never a file name. EXIF rotation is
  applied; grey, palette and CMYK become RGB by Pillow's plain formulas (colour
  profiles are ignored); an alpha channel that is opaque everywhere is dropped.
  Of a camera's multi-picture JPEG the first picture is taken.

  Args:
    data: a whole AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PPM, TIFF or WebP file.
    max_pixels: images whose header promises more are refused before decoding;
      Pillow's own limit of 178,956,970 holds as well.
    max_side_px: a longer image is shrunk to this longest side (Lanczos).

  Raises:
    ImageError: anything else; its `reason` is one word, its text one line.
  """
  with _open(data, max_pixels) as image, _refusing_damage():
    upright, notes, orientation = _load(image)
    upright = upright.convert("RGB")
    if orientation in _TRANSPOSE:
      upright = upright.transpose(_TRANSPOSE[orientation])
  if max_side_px is not None and max(upright.size) > max_side_px:
    scale = max_side_px / max(upright.size)
    width_px, height_px = (max(1, round(side * scale)) for side in upright.size)
    upright = upright.resize((width_px, height_px), Image.Resampling.LANCZOS)
  return Photograph(pixels=np.array(upright), notes=tuple(notes))


def decode_rgb(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
  """The pixels of `decode_photograph` alone."""
  return decode_photograph(data, max_pixels=max_pixels).pixels


def check_photograph(data: bytes, *, max_pixels: int = MAX_PIXELS) -> PhotographFacts:
  """Says whether `decode_photograph` would take an image, and what it would note.

  Every byte goes through the same decoder. Of a JPEG only the last step is cheaper:
  it is drawn at an eighth of its size, which takes two thirds of the time.

  Args:
    data: as `decode_photograph`'s.
    max_pixels: likewise.

  Raises:
    ImageError: as `decode_photograph` does.
  """
  with _open(data, max_pixels) as image, _refusing_damage():
    (width_px, height_px), kind = image.size, image.format or ""
    if kind == "JPEG":
      image.draft(None, (1, 1))
    loaded, notes, orientation = _load(image)
    if kind != "JPEG":  # a TIFF that was turned has another size by now
      width_px, height_px = loaded.size
    if orientation in _TRANSPOSE and orientation >= 5:  # the sides change places
      width_px, height_px = height_px, width_px
  return PhotographFacts(
    height_px=height_px,
    width_px=width_px,
    format="JPEG" if kind == "MPO" else kind,
    notes=tuple(notes),
  )


def _open(data: bytes, max_pixels: int) -> Image.Image:
  """Reads the header, and refuses what need not be decoded for that."""
  require(max_pixels > 0, "max_pixels > 0", max_pixels=max_pixels)
  if not data:
    raise ImageError("empty", "Expected an image. Received: 0 bytes")
  image = _read_header(data)
  width_px, height_px = image.size
  if width_px * height_px > max_pixels:
    raise ImageError(
      "too_large",
      f"Expected at most {max_pixels:,} pixels. Received: {width_px}x{height_px}",
    )
  if _has_deep_pixels(image):
    raise ImageError(
      "more_than_8_bits",
      "Expected 8 bits a channel; convert the image first. Received: "
      f"{image.format} with more (mode {image.mode})",
    )
  return image


def _read_header(data: bytes) -> Image.Image:
  Image.init()  # or formats beyond the commonest five are not registered yet
  known = [name for name in _FORMATS if name in Image.OPEN]
  try:
    return Image.open(io.BytesIO(data), formats=known)
  except Image.DecompressionBombError as error:
    raise ImageError("too_large", str(error)) from error
  except Exception as error:  # a plugin raises whatever its parser stumbled over
    received = f"Received: {len(data)} bytes starting with {data[:8]!r}"
    for name in known:
      accepts = Image.OPEN[name][1]
      if accepts is not None and accepts(data[:16]) is True:
        raise ImageError(
          "damaged", f"Expected a whole image; the {name} header is not. {received}"
        ) from error
    raise ImageError(
      "not_an_image", f"Expected an image ({', '.join(known)}). {received}"
    ) from error


def _has_deep_pixels(image: Image.Image) -> bool:
  if image.mode in ("I", "F") or image.mode.startswith("I;16"):
    return True
  for codec_name, _, _, arguments in getattr(image, "tile", ()):
    if codec_name.startswith("ppm"):
      return arguments[1] > 255  # the largest value, as the file declares it
    if _SIXTEEN_BIT_RAW_MODE.search(repr(arguments)):
      return True
  return False


def _load(image: Image.Image) -> tuple[Image.Image, list[str], int | None]:
  """(the image with all pixels decoded, notes of `Photograph`, EXIF orientation)."""
  # A camera's multi-picture JPEG holds previews, and is no animation.
  num_frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
  if num_frames > 1:
    raise ImageError(
      "animated",
      f"Expected one picture. Received: {image.format} with {num_frames} frames",
    )
  image.load()
  notes = []
  orientation, mode = _read_orientation(image), image.mode
  if image.has_transparency_data:
    image = image.convert("RGBA")
    lowest_alpha = int(np.asarray(image)[..., 3].min())
    if lowest_alpha < 255:
      raise ImageError(
        "transparent",
        "Expected an opaque image; flatten it first. Received: pixels of alpha "
        f"{lowest_alpha} of 255",
      )
    notes.append("opaque_alpha")
  if mode in ("1", "L", "LA", "La"):
    notes.append("grey")
  elif mode not in ("RGB", "RGBA", "RGBX", "RGBa"):
    notes.append("converted")
  if orientation in _TRANSPOSE:
    notes.append("turned")
  return image, notes, orientation


@contextlib.contextmanager
def _refusing_damage() -> Iterator[None]:
  """Whatever a decoder stumbles over becomes an `ImageError`."""
  try:
    yield
  except ImageError:
    raise
  except Exception as error:  # also SyntaxError, struct.error, EOFError
    reason = "truncated" if "truncated" in str(error).lower() else "damaged"
    raise ImageError(reason, f"Expected a whole image. Received: {error}") from error


def _read_orientation(image: Image.Image) -> int | None:
  """Of a loaded image: a TIFF has turned itself by then."""
  try:
    return image.getexif().get(_ORIENTATION)
  except Exception:  # broken EXIF is common, and no reason to lose a photograph
    return None
