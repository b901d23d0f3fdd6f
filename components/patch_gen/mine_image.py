"""One photograph in, its patches or its dead letter out. No files, no Beam."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from components.patch_gen.hardest import hardest
from components.patch_gen.scoring import filter_rows, png_size
from schemas.mining_config import PATCH_PX, MiningConfig
from schemas.patch_example import Patch
from trainers.images import ImageError, decode_photograph


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeadLetter:
  """A file that could not be used: a word to count by, and what was found."""

  source: str
  reason: str
  detail: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mined:
  """The patches of a photograph, hardest first, and what its decoding noted."""

  patches: list[Patch]
  notes: tuple[str, ...]


def mine_image(data: bytes, source: str, config: MiningConfig) -> Mined | DeadLetter:
  """Mines a photograph.

  Args:
    data: the whole image file.
    source: its id, copied into the patches.
    config: the recipe `hard` keeps up to `per_image` tiles, `resize` makes one
      patch of the whole image (its proportions are not kept).
  """
  try:
    photograph = decode_photograph(
      data, max_pixels=config.max_pixels, max_side_px=config.max_side_px
    )
    height, width = photograph.pixels.shape[:2]
    if min(height, width) < PATCH_PX:
      raise ImageError(
        "too_small",
        f"Expected at least {PATCH_PX}x{PATCH_PX}. Received: {width}x{height}",
      )
  except ImageError as error:
    return DeadLetter(source=source, reason=error.reason, detail=str(error))
  match config.recipe:
    case "hard":
      patches = _hard(photograph.pixels, source, config.per_image)
    case "resize":
      patches = _resize(photograph.pixels, source)
  return Mined(patches=patches, notes=photograph.notes)


def _hard(pixels: np.ndarray, source: str, per_image: int) -> list[Patch]:
  positions, scores = hardest(pixels, per_image)
  return [
    Patch(
      pixels=pixels[row : row + PATCH_PX, column : column + PATCH_PX],
      source=source,
      row_px=row,
      column_px=column,
      score=score,
    )
    for (row, column), score in zip(positions.tolist(), scores.tolist())
  ]


def _resize(pixels: np.ndarray, source: str) -> list[Patch]:
  small = Image.fromarray(pixels).resize((PATCH_PX, PATCH_PX), Image.Resampling.LANCZOS)
  patch = np.asarray(small)
  (filtered,) = filter_rows(patch[None])
  return [
    Patch(pixels=patch, source=source, row_px=0, column_px=0, score=png_size(filtered))
  ]
