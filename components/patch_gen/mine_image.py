"""One photograph in, its patches or its dead letter out. No files, no Beam."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from hardmine.components.jobs.dead_letters import DeadLetter
from hardmine.components.patch_gen.hardest import hardest
from hardmine.components.patch_gen.scoring import filter_rows, png_size
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import Patch
from hardmine.trainers.images import ImageError, decode_photograph


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mined:
  """The patches of a photograph and what was noted about it.

  Attributes:
    patches: of each reduction in turn, hardest first.
    notes: those of `hardmine.trainers.images.Photograph`, and `too_small_at_N` for each
      reduction N at which no patch fits.
    digest: of the pixels, equal for equal photographs.
  """

  patches: list[Patch]
  notes: tuple[str, ...]
  digest: str


def mine_image(data: bytes, source: str, config: MiningConfig) -> Mined | DeadLetter:
  """Mines a photograph.

  Args:
    data: the whole image file.
    source: its id, copied into the patches.
    config: the recipe `hard` keeps up to `per_image` tiles of each reduction,
      `resize` makes one patch of the whole image (its proportions are not kept).
  """
  try:
    photograph = decode_photograph(
      data, max_pixels=config.max_pixels, max_side_px=config.max_side_px
    )
  except ImageError as error:
    return DeadLetter(source=source, reason=error.reason, detail=str(error))
  patches, notes = [], list(photograph.notes)
  for reduction in config.reductions:
    pixels = _shrink(photograph.pixels, reduction)
    if min(pixels.shape[:2]) < config.patch_px:
      notes.append(f"too_small_at_{reduction}")
      continue
    match config.recipe:
      case "hard":
        patches += _hard(pixels, source, reduction, config)
      case "resize":
        patches += _resize(pixels, source, config.patch_px)
  if not patches:
    return _too_small(photograph.pixels, source, config)
  return Mined(patches=patches, notes=tuple(notes), digest=_digest(photograph.pixels))


def _digest(pixels: np.ndarray) -> str:
  """Differs where pixels or sizes do."""
  found = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
  found.update(np.ascontiguousarray(pixels).data)
  return found.hexdigest()


def _shrink(pixels: np.ndarray, reduction: int) -> np.ndarray:
  """Divides both sides, with the filter that `decode_photograph` shrinks with."""
  if reduction == 1:
    return pixels
  height_px, width_px = (max(1, round(s / reduction)) for s in pixels.shape[:2])
  image = Image.fromarray(pixels)
  return np.asarray(image.resize((width_px, height_px), Image.Resampling.LANCZOS))


def _too_small(pixels: np.ndarray, source: str, config: MiningConfig) -> DeadLetter:
  height_px, width_px = pixels.shape[:2]
  least = min(config.reductions)
  shrunk = f" when shrunk by {least}" if least > 1 else ""
  return DeadLetter(
    source=source,
    reason="too_small",
    detail=f"Expected at least {config.patch_px}x{config.patch_px}{shrunk}. "
    f"Received: {width_px}x{height_px}",
  )


def _hard(
  pixels: np.ndarray, source: str, reduction: int, config: MiningConfig
) -> list[Patch]:
  side = config.patch_px
  positions, scores = hardest(pixels, config.per_image, side)
  return [
    Patch(
      pixels=pixels[row : row + side, column : column + side],
      source=source,
      row_px=row,
      column_px=column,
      score=score,
      reduction=reduction,
    )
    for (row, column), score in zip(positions.tolist(), scores.tolist())
  ]


def _resize(pixels: np.ndarray, source: str, patch_px: int) -> list[Patch]:
  small = Image.fromarray(pixels).resize((patch_px, patch_px), Image.Resampling.LANCZOS)
  patch = np.asarray(small)
  (filtered,) = filter_rows(patch[None])
  return [
    Patch(pixels=patch, source=source, row_px=0, column_px=0, score=png_size(filtered))
  ]
