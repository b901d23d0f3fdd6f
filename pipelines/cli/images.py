"""Photographs on disk: read for encoding, written after decoding; `-` is a pipe."""

from __future__ import annotations

import argparse
import io
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind

if TYPE_CHECKING:
  import numpy as np

  from hardmine.trainers.codec.streams.stream import Stream
  from hardmine.trainers.images import Photograph
  from hardmine.trainers.photo_metadata.metadata import Metadata

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


def add_memory_argument(parser: argparse.ArgumentParser) -> None:
  """Adds `--ignore-memory`, of commands that code pictures."""
  parser.add_argument(
    "--ignore-memory",
    action="store_true",
    help="try even what seems to need more memory than there is",
  )


def read_input(path: str | Path) -> bytes:
  """A file, a pipe such as `/dev/stdin`, or for `-` the standard input.

  Raises:
    ValueError: a terminal or another device, which may never end.
    OSError: it cannot be read.
  """
  if path == PIPE:
    require(not sys.stdin.isatty(), "a pipe or file before `-`", input=PIPE)
    return sys.stdin.buffer.read()
  if "://" in str(path):
    from hardmine.schemas.folders import file_at

    place, name = file_at(path)
    return place.read(name)
  mode = os.stat(path).st_mode
  require(
    not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)),
    "a file or a pipe, and no device or socket",
    input=str(path),
  )
  return Path(path).read_bytes()


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
  """A photograph that is opaque, as uint8 [height, width, 3]; see `decode_photo`."""
  return decode_photo(path, data).pixels


def decode_photo(
  path: str | Path,
  data: bytes,
  max_pixels: int | None = None,
  remedy: str = "",
  *,
  keep_alpha: bool = False,
) -> Photograph:
  """A photograph as `trainers.images.decode_photograph` gives it.

  Args:
    path: for the error.
    data: what it holds.
    max_pixels: one with more is refused before it is decoded; None is the decoder's.
    remedy: follows the error about one that is too large.
    keep_alpha: take one that is not opaque, too.

  Raises:
    ValueError: not a usable photograph; the line begins with the path.
  """
  from hardmine.trainers.images import MAX_PIXELS, ImageError, decode_photograph

  most = MAX_PIXELS if max_pixels is None else max_pixels
  try:
    return decode_photograph(data, max_pixels=most, keep_alpha=keep_alpha)
  except ImageError as error:
    more = f"; {remedy}" if remedy and error.reason == "too_large" else ""
    raise ValueError(f"{path}: {error}{more}") from error


def decode_within_memory(
  path: str | Path, data: bytes, model_dir: Path, args: argparse.Namespace
) -> Photograph:
  """A photograph, opaque or not, that a model can encode in the memory available.

  Args:
    path: for the error.
    data: what it holds.
    model_dir: of the model.
    args: with `max_pixels`, `ignore_memory` and `runtime`.

  Raises:
    ValueError: as `decode_image`, or the photograph is too large.
  """
  from hardmine.trainers.codec.running.memory import Needs, available_bytes
  from hardmine.trainers.images import MAX_PIXELS

  limit, remedy = args.max_pixels or MAX_PIXELS, "the limit is of --max-pixels"
  remedy = remedy if args.max_pixels else "shrink it first"
  available = None if args.ignore_memory else available_bytes()
  if available is not None:
    needs = Needs.of(model_dir, args.runtime)
    pixels = needs.max_pixels(available)
    if pixels < limit:
      limit, remedy = max(1, pixels), needs.too_large(available)
  return decode_photo(path, data, limit, remedy, keep_alpha=True)


def size_of(data: bytes) -> tuple[int, int]:
  """Height and width of a photograph by its header; of what is none, one pixel's."""
  from hardmine.trainers.image_opening import open_image
  from hardmine.trainers.images import MAX_PIXELS

  try:
    with open_image(data, MAX_PIXELS) as (image, _):
      width_px, height_px = image.size
      return height_px, width_px
  except Exception:  # as decoding it will say
    return 1, 1


def check_memory(model_dir: Path, stream: Stream, args: argparse.Namespace) -> None:
  """Raises ValueError where decoding needs more memory than is available."""
  from hardmine.trainers.codec.running.memory import Needs

  if not args.ignore_memory:
    needs = Needs.of(model_dir, args.runtime)
    needs.check_decoding(stream.header, stream.iterations)


def encode_image(
  path: str | Path, image: np.ndarray, metadata: Metadata | None = None
) -> bytes:
  """A picture in the format a name ends in; PNG for `-`.

  Args:
    path: its name.
    image: uint8 [height, width, 3 or 4]; 4 where `holds_alpha`.
    metadata: to go into the file, as far as such a file holds it.
  """
  from PIL import Image

  name, options = _FORMATS[_suffix(path)]
  more: dict[str, Any] = {}
  if metadata:
    from hardmine.trainers.photo_metadata.saving import save_options

    more, _ = save_options(name, metadata)
  if image.shape[2] == 4 and name == "WEBP":  # or colours that nobody sees are changed
    more["exact"] = True
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, name, **options, **more)
  return buffer.getvalue()


def not_held(path: str | Path, metadata: Metadata) -> list[str]:
  """The names of metadata that `encode_image` has no place for under this name."""
  from hardmine.trainers.photo_metadata.saving import save_options

  return save_options(_FORMATS[_suffix(path)][0], metadata)[1]


def is_lossless(path: str | Path) -> bool:
  """Whether `encode_image` keeps every pixel under this name."""
  return _FORMATS[_suffix(path)][0] != "JPEG"


def holds_alpha(path: str | Path) -> bool:
  """Whether `encode_image` keeps a fourth channel under this name."""
  return _FORMATS[_suffix(path)][0] in ("PNG", "TIFF", "WEBP")


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
    "a name that no picture has, such as photo.hmc (or --output DIR for a folder of "
    "compressed files)",
    path=str(path),
  )


def _suffix(path: str | Path) -> str:
  return ".png" if path == PIPE else Path(path).suffix.lower()
