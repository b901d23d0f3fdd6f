"""JPEG and WebP, measured on the same images by the same code.

Every file is measured twice: whole, and without the bytes that are the same for
every picture of its size, since the papers' networks have no headers either.
Default Huffman tables are what the papers' numbers fit; optimised ones give the same
pixels in fewer bytes and move JPEG's MS-SSIM area by a per cent, so both are shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from hardmine.components.codec_evaluator.measurement import Measurement, Scorer
from hardmine.schemas.config import require
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP

# Denser where the curves bend. Against every quality from 1 to 95 no area on the
# Kodak photographs moves by more than a few 1e-4 (MS-SSIM).
JPEG_QUALITIES = (
  *(1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 28, 33),
  *(40, 50, 60, 70, 76, 80, 84, 87, 90, 93, 95),
)
WEBP_QUALITIES = (
  *(1, 3, 6, 10, 14, 19, 25, 33, 42, 52, 64, 75, 80, 84, 88, 91, 93, 95),
)
_ROOM = threading.Lock()
WAVE = 6  # settings measured before asking whether 2 bits per pixel are passed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
  """One way to write the same pixels."""

  key: str
  title: str
  options: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """Variants whose decoded pixels are equal at equal quality, so scored once."""

  format: str
  variants: tuple[Variant, ...]
  qualities: tuple[int, ...]  # rising; what is measured unless the caller chooses


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


FAMILIES = (
  _jpeg("4:2:0", "jpeg_420", 2),
  _jpeg("4:4:4", "jpeg_444", 0),
  Family(
    format="WEBP",
    qualities=WEBP_QUALITIES,
    variants=(Variant(key="webp", title="WebP", options={"method": 6}),),
  ),
)


def encode(image: np.ndarray, family: Family, variant: Variant, quality: int) -> bytes:
  """A whole JPEG or WebP file of uint8 [height, width, 3], without metadata.

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
  file = io.BytesIO()
  Image.fromarray(image).save(file, family.format, quality=quality, **variant.options)
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
  """
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


def software(family: Family) -> str:
  """Library and version, as in `libjpeg-turbo 3.1.4 (Pillow 12.3.0)`."""
  if family.format == "WEBP":
    library = f"libwebp {features.version('webp')}"
  elif features.check("libjpeg_turbo"):
    library = f"libjpeg-turbo {features.version('libjpeg_turbo')}"
  else:
    library = f"libjpeg {features.version('jpg')}"
  return f"{library} (Pillow {PIL.__version__})"


def measure_conventional(
  images: Sequence[tuple[str, np.ndarray]],
  *,
  families: Sequence[Family] = FAMILIES,
  qualities: Sequence[int] | None = None,
  num_workers: int | None = None,
  report: Callable[[str], None] = lambda line: None,
  on_failure: Callable[[str, str], None] | None = None,
) -> list[Measurement]:
  """Encodes, decodes and scores every image at every quality up to 2 bpp.

  Args:
    images: names and uint8 [height, width, 3] pixels.
    families: what to measure.
    qualities: rising settings, 1 to 95, None for each family's own; the last ones
      are left out once the mean rate has passed 2 bits per pixel.
    num_workers: threads; None is one per core. Pillow and NumPy let go of the
      interpreter while they work, so threads are as good as processes here.
    report: is given a line of progress now and then.
    on_failure: is told the name of an image that some encoder cannot write, and why;
      all measurements then are without it. None raises.

  Returns:
    One measurement per variant, in order; none where every image failed.

  Raises:
    RuntimeError: an image cannot be written, and nobody is to be told.
  """
  require(len(images) > 0, "at least one image", images=len(images))
  require(
    qualities is None
    or (len(qualities) > 0 and list(qualities) == sorted(set(qualities))),
    "rising qualities",
    qualities=qualities,
  )
  failed: dict[str, str] = {}
  measured: list[Measurement] = []
  with ThreadPoolExecutor(num_workers or len(os.sched_getaffinity(0))) as pool:
    for family in families:
      living = [image for image in images if image[0] not in failed]
      measured += _measure_family(
        pool, living, family, qualities or family.qualities, report, failed
      )
  for name, why in failed.items():
    if on_failure is None:
      raise RuntimeError(f"{name}: {why}")
    on_failure(name, why)
  names = {name for name, _ in images if name not in failed}
  return [one.only(names) for one in measured] if names else []


def _measure_family(
  pool: ThreadPoolExecutor,
  images: Sequence[tuple[str, np.ndarray]],
  family: Family,
  qualities: Sequence[int],
  report: Callable[[str], None],
  failed: dict[str, str],
) -> Iterator[Measurement]:
  """Yields a measurement a variant, of the images that no encoder failed on.

  Args:
    pool: does the work.
    images: as in `measure_conventional`, and so are `qualities` and `report`.
    family: what to measure.
    qualities: see there.
    report: see there.
    failed: gets names of further images, and why.
  """
  # Each: per image (rates [2, num_variants, points], scores [points, metrics]).
  waves: list[list[Any]] = []
  for start in range(0, len(qualities), WAVE):
    wave = qualities[start : start + WAVE]
    found = list(pool.map(lambda image, w=wave: _attempt(image[1], family, w), images))
    lost = [isinstance(one, str) for one in found]
    failed |= {name: one for (name, _), one in zip(images, found) if type(one) is str}
    images = [image for image, is_lost in zip(images, lost) if not is_lost]
    waves = [[row for row, gone in zip(w, lost) if not gone] for w in (*waves, found)]
    if not images:
      return
    lowest_bpp = np.mean([rates[0, :, -1].min() for rates, _ in waves[-1]])
    report(
      f"{family.variants[0].title}: quality {wave[-1]}, {lowest_bpp:.2f} bits per pixel"
    )
    if lowest_bpp > HIGHEST_BPP:
      break
  rates = np.array(
    [np.concatenate([image[0] for image in row], axis=2) for row in zip(*waves)]
  )
  scores = np.array(
    [np.concatenate([image[1] for image in row]) for row in zip(*waves)]
  )
  for index, variant in enumerate(family.variants):
    range_text = f"qualities 1 to {qualities[rates.shape[3] - 1]}"
    flags = ", ".join(f"{name}={value}" for name, value in variant.options.items())
    yield Measurement(
      key=variant.key,
      title=variant.title,
      detail=f"{software(family)}; {range_text}, {flags}",
      points=tuple(qualities[: rates.shape[3]]),
      images=tuple(name for name, _ in images),
      bpp=rates[:, 0, index],
      file_bpp=rates[:, 1, index],
      scores=scores,
    )


def _attempt(
  image: np.ndarray, family: Family, qualities: Sequence[int]
) -> tuple[np.ndarray, np.ndarray] | str:
  """What `_measure` returns, or why there is nothing."""
  try:
    return _measure(image, family, qualities)
  except MemoryError:  # says nothing of the image
    raise
  except Exception as error:  # encoders raise whatever their library says
    return f"{family.variants[0].title}: {' '.join(str(error).split())}"


def _measure(
  image: np.ndarray, family: Family, qualities: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
  """Scores one image.

  Returns:
    Bits per pixel [2, num_variants, num_qualities], without headers and of whole
    files, and scores [num_qualities, num_metrics].
  """
  num_pixels = image.shape[0] * image.shape[1]
  score = Scorer(image)
  num_bytes, scores = [], []
  for quality in qualities:
    files = [encode(image, family, variant, quality) for variant in family.variants]
    sizes = [len(file) for file in files]
    heads = [header_bytes(f, family, v) for f, v in zip(files, family.variants)]
    num_bytes.append([np.subtract(sizes, heads), sizes])
    scores.append(score(decode(files[0])))
  rates = 8 * np.array(num_bytes) / num_pixels  # [qualities, 2, variants]
  return np.moveaxis(rates, 0, -1), np.array(scores)
