"""JPEG and its successors, as a study asks them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.conventional import WAVE
from hardmine.components.codec_evaluator.formats import (
  FAMILIES,
  FURTHER,
  Family,
  Variant,
  decode,
  encode,
  flags,
  header_bytes,
  knows_headers,
  software,
  what_lacks,
)
from hardmine.components.codec_evaluator.measurement import Scorer
from hardmine.pipelines.studies.rate_distortion.studied import (
  CurveOf,
  File,
  Point,
  timed,
)
from hardmine.schemas.config import require

ALL = (*FAMILIES, *FURTHER)
NAMES = tuple(family.variants[0].key for family in ALL)
_NOT_SHOWN = "jpeg_444"  # 4:2:0 is the better one wherever a difference is seen


class ConventionalCodec:
  """A family of conventional files; see `studied.Studied`."""

  wave = WAVE
  is_model = False

  def __init__(self, family: Family, most_settings: int | None = None):
    """Takes a family.

    Args:
      family: of files.
      most_settings: so many of its qualities at most, spread evenly; None for all.
    """
    self._family = family
    self.settings = _spread(family.qualities, most_settings)
    self.setting_is = family.quality_is
    self.curves = tuple(
      CurveOf(key=one.key, title=one.title, detail=f"{software(family)}; {flags(one)}")
      for one in family.variants
    )
    self.shown = None if family.variants[0].key == _NOT_SHOWN else self.curves[-1]
    self.facts: dict[str, Any] = {
      "software": software(family),
      "format": family.format,
      "variants": {one.key: flags(one) for one in family.variants},
    }

  def facts_at(self, setting: int) -> dict[str, Any]:
    """What Pillow is told."""
    return {"options": self._family.options(setting)}

  def points(
    self, pixels: np.ndarray, settings: Sequence[int]
  ) -> Iterator[tuple[int, list[Point]]]:
    """Files one after the other, that nothing else takes time of; then scores."""
    made = [self._made(pixels, setting) for setting in settings]
    score = Scorer(pixels)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
      scores = pool.map(lambda one: score(one[1]), made)
      for setting, (points, _), scored in zip(settings, made, scores):
        yield setting, [Point(**point, scores=scored) for point in points]

  def nearest(self, pixels: np.ndarray, num_bytes: int) -> File:
    """Found by bisection of the quality."""
    variant = self._family.variants[-1]
    files: dict[int, bytes] = {}

    def size(quality: int) -> int:
      if quality not in files:
        files[quality] = encode(pixels, self._family, variant, quality)
      return len(files[quality])

    low, high = self._family.bounds
    while high - low > 1:
      middle = (low + high) // 2
      low, high = (middle, high) if size(middle) < num_bytes else (low, middle)
    chosen = min((low, high), key=lambda one: abs(math.log(size(one) / num_bytes)))
    data = files[chosen]
    return File(setting=chosen, num_bytes=len(data), pixels=decode(data))

  def _made(
    self, pixels: np.ndarray, setting: int
  ) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Of each variant all but the scores, and the pixels that all of them have."""
    points, shown = [], pixels
    for index, variant in enumerate(self._family.variants):
      data, encoding = timed(lambda v=variant: encode(pixels, self._family, v, setting))
      decoded, decoding = timed(lambda file=data: decode(file))
      shown = decoded if index == 0 else shown
      points.append(
        {
          "num_bytes": len(data),
          "header_bytes": self._header_bytes(data, variant),
          "encode_seconds": encoding,
          "decode_seconds": decoding,
        }
      )
    return points, shown

  def _header_bytes(self, data: bytes, variant: Variant) -> int | None:
    known = knows_headers(self._family)
    return header_bytes(data, self._family, variant) if known else None


def keys() -> list[str]:
  """Of all curves that there may be."""
  return [variant.key for family in ALL for variant in family.variants]


def choose(
  names: Sequence[str] | None, most_settings: int | None = None
) -> tuple[list[ConventionalCodec], list[str]]:
  """Conventional codecs, and a line for each that is not installed.

  Args:
    names: of `NAMES`; None takes all that are installed.
    most_settings: see `ConventionalCodec`.

  Raises:
    ValueError: there is none of a name, or it was named and is not installed.
  """
  for name in names or ():
    require(name in NAMES, f"of {', '.join(NAMES)}", codec=name)
  found, lines = [], []
  for family, name in zip(ALL, NAMES):
    if names is not None and name not in names:
      continue
    lacks = what_lacks(family)
    title = family.variants[0].title
    if lacks is None:
      found.append(ConventionalCodec(family, most_settings))
    else:
      require(names is None, f"{title} to be installed: {lacks}", codec=name)
      lines.append(f"{title} is left out: it is not installed ({lacks})")
  return found, lines


def _spread(values: tuple[int, ...], most: int | None) -> tuple[int, ...]:
  if most is None or most >= len(values):
    return values
  places = np.linspace(0, len(values) - 1, most).round().astype(int)
  return tuple(values[place] for place in places)
