"""The one decoder of photographs: bytes as users bring them to 8-bit RGB.

Mining, evaluation and the command line all read through here, so a photograph is
refused, rotated or converted in the same way everywhere. `image_opening` says what is
taken at all, `colour` what the numbers mean.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
from PIL import Image

from hardmine.schemas.config import require
from hardmine.trainers import colour
from hardmine.trainers.image_headers import Header
from hardmine.trainers.image_opening import ImageError, open_image
from hardmine.trainers.photo_metadata.embedded import Embedded, embedded_in

MAX_PIXELS = 1 << 28  # the largest photograph a codec's stream may hold

_BAND_ROWS = 256  # that are copied at once
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photograph:
  """Pixels as a viewer would show them in sRGB, and what was done to get them.

  Attributes:
    pixels: uint8 [height_px, width_px, 3] RGB.
    notes: words to count by, among `grey`, `converted` (palette, CMYK),
      `colour_converted` (to sRGB, as the file describes its colours),
      `profile_ignored` (that description is damaged or of no use), `turned` (as the
      file says), `opaque_alpha` (a channel that was dropped) and `transparent` (one
      that was kept).
    alpha: uint8 [height_px, width_px] of a picture that is not opaque everywhere, where
      it was asked for; colours are not multiplied by it.
    embedded: what the file holds besides.
    orientation: EXIF's, which was applied; 1 where nothing was.
  """

  pixels: np.ndarray
  notes: tuple[str, ...]
  alpha: np.ndarray | None = None
  embedded: Embedded = dataclasses.field(default_factory=Embedded)
  orientation: int = 1


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
  data: bytes,
  *,
  max_pixels: int = MAX_PIXELS,
  max_side_px: int | None = None,
  keep_alpha: bool = False,
) -> Photograph:
  """Decodes a photograph the way a viewer would show it.

  The content decides about the format, never a file name. The picture is turned as
  EXIF says, a HEIC or JPEG XL as its own header says, which goes before EXIF there;
  colours become sRGB by the file's ICC profile, PNG's cICP, gAMA and cHRM or the nclx
  of AVIF and HEIC (`colour.plan`), and those that are sRGB already keep every value.
  Grey and palette become RGB, as does CMYK, without a profile by Pillow's plain
  formula. An alpha channel that is opaque everywhere is dropped. Of a camera's
  multi-picture JPEG the first picture is taken, of several in a HEIC the primary one,
  and never a preview, a depth or a gain map.

  Args:
    data: a whole AVIF, BMP, GIF, HEIC, JPEG, JPEG 2000, JPEG XL, PNG, PPM, TIFF or
      WebP file.
    max_pixels: images whose header promises more are refused before decoding;
      Pillow's own limit of 178,956,970 holds as well.
    max_side_px: a longer image is shrunk to this longest side (Lanczos).
    keep_alpha: take images that are not opaque, too; their alpha is never shrunk.

  Raises:
    ImageError: anything else; its `reason` is one word, its text one line.
  """
  require(max_pixels > 0, "max_pixels > 0", max_pixels=max_pixels)
  with _refusing_damage(), open_image(data, max_pixels) as (image, header):
    require(not (keep_alpha and max_side_px), "no shrinking of alpha", keep_alpha=True)
    loaded = _load(image, header, keep_alpha)
    plain = loaded.image if loaded.convert is None else loaded.convert(loaded.image)
    upright = plain if plain.mode == "RGB" else plain.convert("RGB")
    del plain
    alpha = loaded.alpha
    if loaded.orientation in _TRANSPOSE:
      upright = upright.transpose(_TRANSPOSE[loaded.orientation])
      alpha = alpha and alpha.transpose(_TRANSPOSE[loaded.orientation])
    if max_side_px is not None and max(upright.size) > max_side_px:
      scale = max_side_px / max(upright.size)
      width_px, height_px = (max(1, round(side * scale)) for side in upright.size)
      upright = upright.resize((width_px, height_px), Image.Resampling.LANCZOS)
    return Photograph(
      pixels=_pixels(upright),
      notes=loaded.notes,
      alpha=None if alpha is None else np.asarray(alpha),
      embedded=embedded_in(image, data),
      orientation=loaded.orientation if loaded.orientation in _TRANSPOSE else 1,
    )


def _pixels(image: Image.Image) -> np.ndarray:
  """uint8 [height, width, 3]; of a large image no second copy is made on the way."""
  width_px, height_px = image.size
  pixels = np.empty((height_px, width_px, 3), np.uint8)
  for top in range(0, height_px, _BAND_ROWS):
    bottom = min(top + _BAND_ROWS, height_px)
    pixels[top:bottom] = np.asarray(image.crop((0, top, width_px, bottom)))
  return pixels


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
  with _refusing_damage(), open_image(data, max_pixels) as (image, header):
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
    alpha: of mode L, where it was asked for and is not opaque.
  """

  image: Image.Image
  convert: colour.Conversion | None
  orientation: int | None
  notes: tuple[str, ...]
  alpha: Image.Image | None = None


def _check_single(image: Image.Image) -> None:
  # A camera's multi-picture JPEG holds previews, and is no animation; of a HEIC with
  # several pictures the primary one is open.
  is_single = image.format in ("MPO", "HEIF")
  num_frames = 1 if is_single else getattr(image, "n_frames", 1)
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


def _load(image: Image.Image, header: Header, keep_alpha: bool = False) -> _Loaded:
  _check_single(image)
  image.load()
  notes, alpha = [], None
  orientation, mode = _read_orientation(image, header), image.mode
  info, kind = dict(image.info), image.format or ""
  if image.has_transparency_data:
    image = image.convert("RGBA")
    if keep_alpha and _lowest_alpha(image) < 255:
      alpha = image.getchannel("A")
      notes.append("transparent")
    else:
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
  if orientation in _TRANSPOSE or header.is_turned:
    notes.append("turned")
  return _Loaded(
    image=image.convert(plain) if image.mode != plain else image,
    convert=convert,
    orientation=orientation,
    notes=tuple(notes),
    alpha=alpha,
  )


def _lowest_alpha(image: Image.Image) -> int:
  # of the channel alone: an array of all four is another copy
  return int(np.asarray(image.getchannel("A")).min())


def _check_opaque(image: Image.Image) -> None:
  lowest_alpha = _lowest_alpha(image)
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
    is_cut = any(word in text.lower() for word in ("truncated", "end of file"))
    reason = "truncated" if is_cut else "damaged"
    raise ImageError(reason, f"Expected a whole image. Received: {text}") from error


def _read_orientation(image: Image.Image, header: Header) -> int | None:
  """What is left to do, of a loaded image: a TIFF has turned itself by then.

  So has what a plugin decodes, by the file's own header, before which EXIF says
  nothing; but a JPEG inside a JPEG XL comes as it was.
  """
  if header.format and not getattr(image, "jpeg", False):
    return None
  try:
    return image.getexif().get(_ORIENTATION)
  except Exception:  # broken EXIF is common, and no reason to lose a photograph
    return None
