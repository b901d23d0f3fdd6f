"""Photographs on disk: read for encoding, written after decoding."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.schemas.config import require

if TYPE_CHECKING:
  import numpy as np

# Pillow's name of the format and how to save it; all but JPEG keep every pixel.
_FORMATS = {
  ".png": ("PNG", {}),
  ".bmp": ("BMP", {}),
  ".ppm": ("PPM", {}),
  ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
  ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
  ".webp": ("WEBP", {"lossless": True}),
  ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
  ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}


def read_image(path: str | Path) -> np.ndarray:
  """A photograph as uint8 [height, width, 3] (see `trainers.images.decode_rgb`).

  Raises:
    ValueError: not a usable photograph; the line begins with the path.
    OSError: the file cannot be read.
  """
  from hardmine.trainers.images import ImageError, decode_rgb

  try:
    return decode_rgb(Path(path).read_bytes())
  except ImageError as error:
    raise ValueError(f"{path}: {error}") from error


def write_image(path: str | Path, image: np.ndarray) -> None:
  """Writes uint8 [height, width, 3] in the format its name ends in, atomically."""
  from PIL import Image

  from hardmine.schemas.files import write_atomically

  name, options = _FORMATS[Path(path).suffix.lower()]
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, name, **options)
  write_atomically(path, buffer.getvalue())


def is_lossless(path: str | Path) -> bool:
  """Whether `write_image` keeps every pixel in a file of this name."""
  return _FORMATS[Path(path).suffix.lower()][0] != "JPEG"


def check_image_name(path: str | Path) -> None:
  """Raises ValueError unless `write_image` knows the format the name ends in."""
  require(
    Path(path).suffix.lower() in _FORMATS,
    f"a name that ends in {', '.join(_FORMATS)}",
    path=str(path),
  )


def check_destination(path: str | Path, source: str | Path) -> None:
  """Refuses, before any long work, a place that cannot or must not be written.

  Raises:
    ValueError: its folder does not exist, something other than a file is there
      (replacing `/dev/null` would succeed, as root), or it is the source itself.
  """
  path = Path(path)
  require(path.parent.is_dir(), "a folder that exists", path=str(path))
  require(
    path.is_file() or not path.exists(), "a file, or nothing, there", path=str(path)
  )
  require(
    not (path.exists() and Path(source).exists() and path.samefile(source)),
    "another file than the one that is read",
    path=str(path),
  )
