"""Photographs on disk: read for encoding, written after decoding; `-` is a pipe."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind

if TYPE_CHECKING:
  import numpy as np

PIPE = "-"  # standard input, or output
IMAGE = FileKind(
  "an image",
  re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|BM....\0\0\0\0|P[1-7]\s|II\*\0|MM\0\*|RIFF....WEBP",
    re.DOTALL,
  ),
)
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
# Names under which nobody looks for anything but a picture; more than are written.
_IMAGE_SUFFIXES = {
  *_FORMATS,
  *(".avif", ".dng", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe"),
  *(".jxl", ".pbm", ".pgm", ".pnm", ".tga"),
}


def read_input(path: str | Path) -> bytes:
  """A file, a pipe such as `/dev/stdin`, or for `-` the standard input.

  Raises:
    OSError: it cannot be read.
  """
  return sys.stdin.buffer.read() if path == PIPE else Path(path).read_bytes()


def write_pipe(content: bytes) -> None:
  """Writes to the standard output, which `check_pipe` has looked at."""
  sys.stdout.buffer.write(content)
  sys.stdout.buffer.flush()


def check_pipe() -> None:
  """Raises ValueError where the standard output is a terminal, no place for bytes."""
  require(not sys.stdout.isatty(), "a name, or a pipe or file behind `-`", output=PIPE)


def read_image(path: str | Path) -> np.ndarray:
  """The photograph of a file; see `decode_image`.

  Raises:
    ValueError: not a usable photograph; the line begins with the path.
    OSError: the file cannot be read.
  """
  return decode_image(path, read_input(path))


def decode_image(path: str | Path, data: bytes) -> np.ndarray:
  """A photograph as uint8 [height, width, 3] (see `trainers.images.decode_rgb`).

  Args:
    path: for the error.
    data: what it holds.

  Raises:
    ValueError: not a usable photograph; the line begins with the path.
  """
  from hardmine.trainers.images import ImageError, decode_rgb

  try:
    return decode_rgb(data)
  except ImageError as error:
    raise ValueError(f"{path}: {error}") from error


def encode_image(path: str | Path, image: np.ndarray) -> bytes:
  """uint8 [height, width, 3] in the format a name ends in; PNG for `-`."""
  from PIL import Image

  name, options = _FORMATS[_suffix(path)]
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, name, **options)
  return buffer.getvalue()


def is_lossless(path: str | Path) -> bool:
  """Whether `encode_image` keeps every pixel under this name."""
  return _FORMATS[_suffix(path)][0] != "JPEG"


def check_image_name(path: str | Path) -> None:
  """Raises ValueError unless `encode_image` knows the format the name ends in."""
  require(
    _suffix(path) in _FORMATS,
    f"a name that ends in {', '.join(_FORMATS)}",
    path=str(path),
  )


def check_no_image_name(path: str | Path) -> None:
  """Raises ValueError for a name that promises a picture to every other program."""
  require(
    Path(path).suffix.lower() not in _IMAGE_SUFFIXES,
    "a name that no picture has, such as photo.hmc",
    path=str(path),
  )


def _suffix(path: str | Path) -> str:
  return ".png" if path == PIPE else Path(path).suffix.lower()
