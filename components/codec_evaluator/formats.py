"""Conventional codecs, and how each one's files are written, read and weighed.

Default Huffman tables are what the papers' numbers for JPEG fit; optimised ones give
the same pixels in fewer bytes and move its MS-SSIM area by a per cent, so both are
here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from hardmine.schemas.config import require

# Denser where the curves bend. Against every quality from 1 to 95 no area on the
# Kodak photographs moves by more than a few 1e-4 (MS-SSIM).
JPEG_QUALITIES = (
  *(1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 28, 33),
  *(40, 50, 60, 70, 76, 80, 84, 87, 90, 93, 95),
)
WEBP_QUALITIES = (
  *(1, 3, 6, 10, 14, 19, 25, 33, 42, 52, 64, 75, 80, 84, 88, 91, 93, 95),
)
AVIF_QUALITIES = (*(1, 6, 11, 16, 21, 26, 31, 36, 41, 47, 53, 60, 68, 76, 84), 91)
JPEG_XL_QUALITIES = (*(0, 4, 8, 12, 16, 20, 25, 31, 40, 50, 60, 68, 75, 81), *(86, 91))
JPEG_2000_RATES = (
  *(6, 9, 12, 16, 20, 25, 32, 40, 50, 65, 80, 100, 125, 150, 175),
  *(200, 225),
)
_ROOM = threading.Lock()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
  """One way to write the same pixels."""

  key: str
  title: str
  options: dict[str, Any]


def _by_quality(quality: int) -> dict[str, Any]:
  return {"quality": quality}


def _by_rate(hundredths: int) -> dict[str, Any]:
  return {"quality_mode": "rates", "quality_layers": [100 * 24 / hundredths]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """Variants whose decoded pixels are equal at equal quality, so scored once.

  Attributes:
    format: as Pillow calls it.
    variants: of it.
    qualities: rising; what is measured unless the caller chooses.
    bounds: the least and the highest quality that there is.
    quality_is: in words.
    options: what Pillow is told for a quality.
  """

  format: str
  variants: tuple[Variant, ...]
  qualities: tuple[int, ...]
  bounds: tuple[int, int] = (1, 95)
  quality_is: str = "quality"
  options: Callable[[int], dict[str, Any]] = _by_quality


def _jpeg(name: str, key: str, subsampling: int) -> Family:
  options = {"subsampling": subsampling}
  return Family(
    format="JPEG",
    qualities=JPEG_QUALITIES,
    variants=(
      Variant(key=key, title=f"JPEG {name}", options={**options, "optimize": False}),
      Variant(
        key=f"{key}_optimised",
        title=f"JPEG {name}, optimised Huffman tables",
        options={**options, "optimize": True},
      ),
    ),
  )


# What every evaluation has beside the model.
FAMILIES = (
  _jpeg("4:2:0", "jpeg_420", 2),
  _jpeg("4:4:4", "jpeg_444", 0),
  Family(
    format="WEBP",
    qualities=WEBP_QUALITIES,
    variants=(Variant(key="webp", title="WebP", options={"method": 6}),),
  ),
)
# What a study may have further, where it is installed.
FURTHER = (
  Family(
    format="AVIF",
    qualities=AVIF_QUALITIES,
    bounds=(0, 100),
    variants=(
      Variant(key="avif", title="AVIF", options={"speed": 6, "subsampling": "4:2:0"}),
    ),
  ),
  Family(
    format="JXL",
    qualities=JPEG_XL_QUALITIES,
    bounds=(0, 99),
    variants=(Variant(key="jpeg_xl", title="JPEG XL", options={"effort": 7}),),
  ),
  Family(
    format="JPEG2000",
    qualities=JPEG_2000_RATES,
    bounds=(2, 800),
    quality_is="hundredths of a bit per pixel",
    options=_by_rate,
    variants=(
      Variant(
        key="jpeg_2000", title="JPEG 2000", options={"irreversible": True, "mct": 1}
      ),
    ),
  ),
)
_LIBRARIES = {"WEBP": ("libwebp", "webp"), "AVIF": ("libavif", "avif")}
_LIBRARIES["JPEG2000"] = ("OpenJPEG", "jpg_2000")


def what_lacks(family: Family) -> str | None:
  """What is to be installed before a family can be measured, or None."""
  if family.format == "JXL":
    return None if _jxl_version() else "pip install 'hardmine[formats]'"
  if family.format in _LIBRARIES and not features.check(_LIBRARIES[family.format][1]):
    return f"a Pillow that was built with {_LIBRARIES[family.format][0]}"
  return None


def encode(image: np.ndarray, family: Family, variant: Variant, quality: int) -> bytes:
  """A whole file of uint8 [height, width, 3], without metadata.

  Raises:
    OSError, ValueError: it cannot be written, as one too large for the format.
  """
  try:
    return _saved(image, family, variant, quality)
  except OSError:
    if family.format != "JPEG":
      raise
    # With tables of its own a JPEG is written in one go, into a buffer that Pillow
    # guesses; noise needs more.
    with _room_for_jpeg(image):
      return _saved(image, family, variant, quality)


def _saved(image: np.ndarray, family: Family, variant: Variant, quality: int) -> bytes:
  if family.format == "JXL":
    _jxl_version()
  file = io.BytesIO()
  options = {**family.options(quality), **variant.options}
  Image.fromarray(image).save(file, family.format, **options)
  return file.getvalue()


@contextlib.contextmanager
def _room_for_jpeg(image: np.ndarray) -> Iterator[None]:
  """No coefficient takes more than 27 bits, and no image more than its blocks."""
  height_px, width_px = (side + 16 for side in image.shape[:2])
  with _ROOM:  # Pillow's buffers are as large as one variable of the module says
    before = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(before, (1 << 16) + 11 * height_px * width_px)
    try:
      yield
    finally:
      ImageFile.MAXBLOCK = before


def decode(data: bytes) -> np.ndarray:
  """uint8 [height, width, 3] of a file that `encode` made."""
  return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def header_bytes(data: bytes, family: Family, variant: Variant) -> int:
  """Bytes of a file that say nothing about its picture.

  WebP: the RIFF and chunk headers. JPEG: every segment before the scan, and the end
  marker; Huffman tables count as data where they were made for the picture.

  Raises:
    ValueError: of another format, whose headers nobody counts.
  """
  require(knows_headers(family), "a JPEG or a WebP", format=family.format)
  if family.format == "WEBP":
    return 20
  position, tables = 2, 0
  while True:
    marker = data[position + 1]
    length = 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    position += length
    if marker == 0xC4:  # define Huffman table
      tables += length
    if marker == 0xDA:  # start of scan
      break
  return position + 2 - (tables if variant.options["optimize"] else 0)


def knows_headers(family: Family) -> bool:
  """Whether `header_bytes` can tell a header from what follows."""
  return family.format in ("JPEG", "WEBP")


def software(family: Family) -> str:
  """Library and version, as in `libjpeg-turbo 3.1.4 (Pillow 12.3.0)`."""
  if family.format == "JXL":
    return f"pillow-jxl-plugin {_jxl_version()} (Pillow {PIL.__version__})"
  if family.format in _LIBRARIES:
    name, feature = _LIBRARIES[family.format]
    library = f"{name} {features.version(feature)}"
  elif features.check("libjpeg_turbo"):
    library = f"libjpeg-turbo {features.version('libjpeg_turbo')}"
  else:
    library = f"libjpeg {features.version('jpg')}"
  return f"{library} (Pillow {PIL.__version__})"


def flags(variant: Variant) -> str:
  """What the encoder is told, beside a quality."""
  return ", ".join(f"{name}={value}" for name, value in variant.options.items())


def _jxl_version() -> str:
  """Of the plugin, which registers itself; empty where it is missing."""
  from importlib import metadata

  try:
    import pillow_jxl  # noqa: F401

    return metadata.version("pillow-jxl-plugin")
  except (ImportError, metadata.PackageNotFoundError):
    return ""
