"""The one decoder of photographs: bytes as users bring them to 8-bit RGB.

Mining, evaluation and the command line all read through here, so a photograph is
refused, rotated or converted in the same way everywhere. `image_headers` says what
kind of file it is, `colour` what its numbers mean. It needs Pillow only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from hardmine.schemas.config import require
from hardmine.trainers import colour
from hardmine.trainers.image_headers import Header, read_header

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
# Pillow's mode of a file: the mode that its pixels are converted from.
_PLAIN_MODES = {
  **dict.fromkeys(("1", "L", "LA", "La"), "L"),
  "CMYK": "CMYK",
  "LAB": "LAB",
}


class ImageError(ValueError):
  """Bytes that are not a usable photograph.

  Attributes:
    reason: a word to count by: `empty`, `not_an_image`, `unsupported_format`,
      `camera_raw`, `truncated`, `damaged`, `too_large`, `animated`, `several_pages`,
      `more_than_8_bits`, `high_dynamic_range` or `transparent`.
  """

  def __init__(self, reason: str, message: str):
    super().__init__(reason, message)  # both, or pickling loses one
    self.reason = reason

  def __str__(self) -> str:
    return self.args[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photograph:
  """Pixels as a viewer would show them in sRGB, and what was done to get them.

  Attributes:
    pixels: uint8 [height_px, width_px, 3] RGB.
    notes: words to count by, among `grey`, `converted` (palette, CMYK),
      `colour_converted` (to sRGB, as the file describes its colours),
      `profile_ignored` (that description is damaged or of no use), `turned` (EXIF
      orientation) and `opaque_alpha` (a channel that was dropped).
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
  applied; colours become sRGB by the file's ICC profile, PNG's cICP, gAMA and cHRM or
  AVIF's nclx (`colour.plan`), and those that are sRGB already keep every value. Grey
  and palette become RGB, as does CMYK, without a profile by Pillow's plain formula.
  An alpha channel that is opaque everywhere is dropped. Of a camera's multi-picture
  JPEG the first picture is taken.

  Args:
    data: a whole AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PPM, TIFF or WebP file.
    max_pixels: images whose header promises more are refused before decoding;
      Pillow's own limit of 178,956,970 holds as well.
    max_side_px: a longer image is shrunk to this longest side (Lanczos).

  Raises:
    ImageError: anything else; its `reason` is one word, its text one line.
  """
  require(max_pixels > 0, "max_pixels > 0", max_pixels=max_pixels)
  with _refusing_damage(), _open(data, max_pixels) as (image, header):
    loaded = _load(image, header)
    plain = loaded.image if loaded.convert is None else loaded.convert(loaded.image)
    upright = plain.convert("RGB")
    if loaded.orientation in _TRANSPOSE:
      upright = upright.transpose(_TRANSPOSE[loaded.orientation])
    if max_side_px is not None and max(upright.size) > max_side_px:
      scale = max_side_px / max(upright.size)
      width_px, height_px = (max(1, round(side * scale)) for side in upright.size)
      upright = upright.resize((width_px, height_px), Image.Resampling.LANCZOS)
    return Photograph(pixels=np.array(upright), notes=loaded.notes)


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
  require(max_pixels > 0, "max_pixels > 0", max_pixels=max_pixels)
  with _refusing_damage(), _open(data, max_pixels) as (image, header):
    (width_px, height_px), kind = image.size, image.format or ""
    if kind == "JPEG":
      image.draft(None, (1, 1))
    loaded = _load(image, header)
    if kind != "JPEG":  # a TIFF that was turned has another size by now
      width_px, height_px = loaded.image.size
    if loaded.orientation in _TRANSPOSE and loaded.orientation >= 5:  # sides swap
      width_px, height_px = height_px, width_px
    return PhotographFacts(
      height_px=height_px,
      width_px=width_px,
      format="JPEG" if kind == "MPO" else kind,
      notes=loaded.notes,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Loaded:
  """An image with all pixels decoded, as they lie in the file.

  Attributes:
    image: of mode L, RGB, CMYK or LAB.
    convert: makes it sRGB, of mode L or RGB; None where it needs no profile.
    orientation: EXIF's, None if there is none.
    notes: those of `Photograph`.
  """

  image: Image.Image
  convert: colour.Conversion | None
  orientation: int | None
  notes: tuple[str, ...]


@contextlib.contextmanager
def _open(data: bytes, max_pixels: int) -> Iterator[tuple[Image.Image, Header]]:
  """Reads the header, and refuses what need not be decoded for that."""
  if not data:
    raise ImageError("empty", "Expected an image. Received: 0 bytes")
  header = read_header(data)
  _check_header(header)
  with _read_with_pillow(data, header) as image:
    width_px, height_px = image.size
    if width_px * height_px > max_pixels:
      raise ImageError(
        "too_large",
        f"Expected at most {max_pixels:,} pixels. Received: {width_px}x{height_px}",
      )
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
      raise _too_deep(f"mode {image.mode}")
    _check_range(image.info, header)
    yield image, header


def _check_header(header: Header) -> None:
  if header.raw:
    raise ImageError(
      "camera_raw",
      "Expected a developed photograph; develop it first, as with `darktable-cli IN "
      f"OUT.png`. Received: a camera raw ({header.raw})",
    )
  if header.foreign:
    first = "`heif-convert IN OUT.png` or the Python package pillow-heif"
    if header.foreign != "HEIC":
      first = "`magick IN OUT.png`"
    raise ImageError(
      "unsupported_format",
      f"Expected one of {', '.join(_FORMATS)}; convert it first, as with {first}. "
      f"Received: {header.foreign}",
    )
  _check_range({}, header)  # first: with 8 bits it would still be refused
  if header.bits > 8:
    raise _too_deep(f"{header.bits} bits" + " of floating point" * header.is_float)


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


def _read_with_pillow(data: bytes, header: Header) -> Image.Image:
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


def _check_single(image: Image.Image) -> None:
  # A camera's multi-picture JPEG holds previews, and is no animation.
  num_frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
  if num_frames == 1:
    return
  if image.format == "TIFF":
    raise ImageError(
      "several_pages",
      "Expected one picture; split the file first, as with `tiffsplit IN`. Received: "
      f"TIFF of {num_frames} pages",
    )
  raise ImageError(
    "animated",
    f"Expected one picture. Received: {image.format} with {num_frames} frames",
  )


def _load(image: Image.Image, header: Header) -> _Loaded:
  _check_single(image)
  image.load()
  notes = []
  orientation, mode = _read_orientation(image), image.mode
  info, kind = dict(image.info), image.format or ""
  if image.has_transparency_data:
    image = image.convert("RGBA")
    _check_opaque(image)
    notes.append("opaque_alpha")
  if mode in ("1", "L", "LA", "La"):
    notes.append("grey")
  elif mode not in ("RGB", "RGBA", "RGBX", "RGBa"):
    notes.append("converted")
  plain = _PLAIN_MODES.get(mode, "RGB")
  convert, note = colour.plan(plain, kind, info, header)
  if note is not None:
    notes.append(note)
  if orientation in _TRANSPOSE:
    notes.append("turned")
  return _Loaded(
    image=image.convert(plain) if image.mode != plain else image,
    convert=convert,
    orientation=orientation,
    notes=tuple(notes),
  )


def _check_opaque(image: Image.Image) -> None:
  lowest_alpha = int(np.asarray(image)[..., 3].min())
  if lowest_alpha < 255:
    raise ImageError(
      "transparent",
      "Expected an opaque image; flatten it first. Received: pixels of alpha "
      f"{lowest_alpha} of 255",
    )


@contextlib.contextmanager
def _refusing_damage() -> Iterator[None]:
  """Whatever is raised over a file becomes an `ImageError` of one line."""
  try:
    yield
  except ImageError:
    raise
  except MemoryError as error:
    raise ImageError(
      "too_large", "Expected pixels that fit into the memory. Received: MemoryError"
    ) from error
  except Exception as error:  # also SyntaxError, struct.error, EOFError
    text = " ".join(str(error).split())[:200] or type(error).__name__
    reason = "truncated" if "truncated" in text.lower() else "damaged"
    raise ImageError(reason, f"Expected a whole image. Received: {text}") from error


def _read_orientation(image: Image.Image) -> int | None:
  """Of a loaded image: a TIFF has turned itself by then."""
  try:
    return image.getexif().get(_ORIENTATION)
  except Exception:  # broken EXIF is common, and no reason to lose a photograph
    return None
