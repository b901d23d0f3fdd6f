"""JPEG and WebP, measured on the same images by the same code.

Every file is measured twice: whole, and without the bytes that are the same for
every picture of its size, since the papers' networks have no headers either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.formats import (
  FAMILIES,
  Family,
  decode,
  encode,
  flags,
  header_bytes,
  software,
)
from hardmine.components.codec_evaluator.measurement import Measurement, Scorer
from hardmine.schemas.config import require
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP

WAVE = 6  # settings measured before asking whether 2 bits per pixel are passed


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
    yield Measurement(
      key=variant.key,
      title=variant.title,
      detail=f"{software(family)}; {range_text}, {flags(variant)}",
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
