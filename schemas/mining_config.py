"""How patches are mined from photographs."""

from __future__ import annotations

import dataclasses
from typing import Literal

from schemas.config import Config, require

PATCH_PX = 32  # side of a patch, in both papers


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiningConfig(Config):
  """One mining job.

  Attributes:
    images: glob patterns of the photographs.
    recipe: `hard` keeps the tiles that compress worst (1608.05148, section 4),
      `resize` shrinks the whole image to one patch (1511.06085, section 4).
    per_image: patches kept of one photograph (`hard` only).
    max_side_px: shrink to this longest side before cutting, which hides the 8x8
      grid of photographs that were JPEGs; None leaves the size alone.
    eval_share: share of the photographs whose patches form the `eval` split.
    num_shards: files per split.
    max_dead_share: the job fails when more than this share of the photographs
      cannot be used.
    max_pixels: larger images are refused before they are decoded.
  """

  images: tuple[str, ...]
  recipe: Literal["hard", "resize"] = "hard"
  per_image: int = 100
  max_side_px: int | None = None
  eval_share: float = 0.1
  num_shards: int = 4
  max_dead_share: float = 0.1
  max_pixels: int = 200_000_000

  def __post_init__(self):
    require(bool(self.images), "at least one glob", images=self.images)
    require(self.per_image > 0, "per_image > 0", per_image=self.per_image)
    require(
      self.max_side_px is None or self.max_side_px >= PATCH_PX,
      f"max_side_px >= {PATCH_PX}",
      max_side_px=self.max_side_px,
    )
    require(0 <= self.eval_share < 1, "0 <= eval_share < 1", eval_share=self.eval_share)
    require(self.num_shards > 0, "num_shards > 0", num_shards=self.num_shards)
    require(
      0 <= self.max_dead_share <= 1,
      "a share between 0 and 1",
      max_dead_share=self.max_dead_share,
    )
    require(self.max_pixels > 0, "max_pixels > 0", max_pixels=self.max_pixels)
