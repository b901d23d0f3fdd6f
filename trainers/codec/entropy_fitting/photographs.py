"""The codes of photographs, as the codec that is to be fitted to makes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from hardmine.schemas.entropy_config import EntropyConfig
from hardmine.schemas.folders import file_at
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.entropy_fitting.code_sets import CodeSet
from hardmine.trainers.images import ImageError, decode_rgb

_EARLY = 4  # iterations that most photographs are coded to
_LEAST_PX = 64
_TOLD_EVERY = 25  # photographs, which takes a minute or more


def spread(paths: Sequence[str], count: int) -> list[str]:
  """Up to `count` of them, evenly over all."""
  if len(paths) <= count:
    return list(paths)
  places = np.linspace(0, len(paths) - 1, count).astype(int)
  return [paths[int(place)] for place in places]


def code_sets(
  codec: Codec,
  paths: Sequence[str],
  config: EntropyConfig,
  report: Callable[[str], None],
) -> tuple[CodeSet, CodeSet | None]:
  """Codes to fit to, and others to judge by.

  Early iterations are what coding saves most of, and cost least to make: every
  photograph is coded to the fourth, and `config.whole_share` of them to the last.

  Args:
    codec: as it was exported.
    paths: of photographs, on a disk or URLs.
    config: how many, how large, and how many are held out.
    report: receives a line for each that is left out, some on the way, and at the end.

  Raises:
    ValueError: there is not one photograph that can be used.
  """
  chosen = spread(paths, config.max_images)
  held_out = set(spread(chosen, round(config.held_out_share * len(chosen))))
  ours, others = [], []
  for path, codes in _coded(codec, chosen, config, held_out, report):
    (others if path in held_out else ours).append(codes)
    if (done := len(ours) + len(others)) % _TOLD_EVERY == 0:
      report(f"{done} of {len(chosen)} photographs are coded")
  report(f"codes of {len(ours)} photographs, and of {len(others)} to judge by")
  if not ours:
    raise ValueError(
      "Expected at least one photograph to fit to, of 64 px a side or more. Received: "
      f"{len(paths)} that cannot be used"
    )
  return CodeSet(ours), CodeSet(others) if others else None


def _coded(
  codec: Codec,
  paths: Iterable[str],
  config: EntropyConfig,
  whole: set[str],
  report: Callable[[str], None],
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
  """Codes and gains of every photograph that can be used."""
  share = 0.0
  for path in paths:
    try:
      place, name = file_at(path)
      pixels = _shrunk(decode_rgb(place.read(name)), config.max_side_px)
    except (ImageError, OSError) as error:
      report(f"{path} is left out: {error}")
      continue
    if min(pixels.shape[:2]) < _LEAST_PX:
      report(f"{path} is left out: {pixels.shape[1]}x{pixels.shape[0]} pixels")
      continue
    share += config.whole_share
    iterations = codec.iterations
    if path not in whole and share < 1:
      iterations = min(iterations, _EARLY)
    else:
      share = max(0.0, share - 1)
    yield path, codec.encode_codes(pixels, iterations)


def _shrunk(pixels: np.ndarray, side_px: int) -> np.ndarray:
  """With no side above `side_px`."""
  height_px, width_px, _ = pixels.shape
  factor = side_px / max(height_px, width_px)
  if factor >= 1:
    return pixels
  width, height = (max(1, math.floor(side * factor)) for side in (width_px, height_px))
  image = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
  return np.asarray(image)
