"""From the bytes of an image file to RGB pixels, or a reason why not.

What people call photographs comes in many modes. Those with one honest reading
as 8-bit RGB are converted and noted; the others are refused:

    grey                 all three colours equal                     note `grey`
    16 bits a channel    scaled to 8, never clipped                  note `sixteen_bit`
    CMYK, YCbCr, palette converted by Pillow (no colour management)  note `converted`
    EXIF orientation     turned upright                              note `turned`
    alpha, all opaque    dropped                                     note `opaque_alpha`
    alpha otherwise      no pixels of its own there                  `transparent`
    several frames       not a photograph (MPO's previews are)       `animated`
    floats, 32-bit, Lab  range or meaning unknown                    `unsupported_mode`
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import threading
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

_ORIENTATION = 0x0112  # EXIF
_LIMIT_LOCK = threading.Lock()


class UnusableImageError(ValueError):
  """`reason` is one word of a closed set, `detail` says what was found."""

  def __init__(self, reason: str, detail: str):
    super().__init__(f"{reason}: {detail}")
    self.reason = reason
    self.detail = detail


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photograph:
  """Upright pixels, uint8 [height, width, 3] RGB, and what was done to get them."""

  pixels: np.ndarray
  notes: tuple[str, ...]


def decode(
  data: bytes, *, max_pixels: int, max_side_px: int | None = None
) -> Photograph:
  """Decodes by content; the file's name plays no part.

  Args:
    data: a whole image file.
    max_pixels: images whose header promises more are refused undecoded.
    max_side_px: a longer image is shrunk to this longest side (Lanczos).

  Raises:
    UnusableImageError: with the reason `empty`, `not_an_image`, `too_large`,
      `animated`, `damaged`, `transparent` or `unsupported_mode`.
  """
  if not data:
    raise UnusableImageError("empty", "0 bytes")
  with _no_pixel_limit():
    try:
      image = Image.open(io.BytesIO(data))
    except Exception as error:  # Pillow's readers raise whatever a bad header causes
      raise UnusableImageError("not_an_image", _short(error)) from error
  width, height = image.size
  if width * height > max_pixels:
    raise UnusableImageError("too_large", f"{width}x{height}, {max_pixels} allowed")
  notes: list[str] = []
  try:
    # A phone's MPO holds further views of the same photograph after the first.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
      raise UnusableImageError("animated", f"{image.n_frames} frames")
    image.load()
    if image.getexif().get(_ORIENTATION, 1) != 1:
      image = ImageOps.exif_transpose(image)
      notes.append("turned")
    image = _to_rgb(image, notes)
    if max_side_px is not None and max(image.size) > max_side_px:
      image = image.resize(_shrunk(image.size, max_side_px), Image.Resampling.LANCZOS)
  except UnusableImageError:
    raise
  except Exception as error:  # as above: nothing in a file may end a long job
    raise UnusableImageError("damaged", _short(error)) from error
  return Photograph(pixels=np.asarray(image), notes=tuple(notes))


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
  if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
    alpha = image.convert("RGBA").getchannel("A")
    if int(np.asarray(alpha).min()) < 255:
      raise UnusableImageError("transparent", "some pixels are not opaque")
    notes.append("opaque_alpha")
  sixteen = image.mode.startswith("I;16") or (
    image.mode == "I" and image.format == "PNG"  # how Pillow 10 opens 16-bit grey
  )
  if sixteen:
    notes += ["sixteen_bit", "grey"]
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
  if image.mode in ("1", "L", "LA", "La"):
    notes.append("grey")
  elif image.mode in ("P", "PA", "CMYK", "YCbCr"):
    notes.append("converted")
  elif image.mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
    raise UnusableImageError("unsupported_mode", image.mode)
  return image.convert("RGB")


def _shrunk(size: tuple[int, int], max_side_px: int) -> tuple[int, int]:
  scale = max_side_px / max(size)
  width, height = (max(1, round(side * scale)) for side in size)
  return width, height


@contextlib.contextmanager
def _no_pixel_limit() -> Iterator[None]:
  """Lifts Pillow's own limit, which no config could raise, while a header is read."""
  with _LIMIT_LOCK:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
      yield
    finally:
      Image.MAX_IMAGE_PIXELS = limit


def _short(error: Exception) -> str:
  return f"{type(error).__name__}: {error}"[:200]
