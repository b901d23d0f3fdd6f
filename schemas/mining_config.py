"""How patches are mined from photographs."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hardmine.schemas.config import Config, added, require

PATCH_PX = 32  # side of a patch, in both papers


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiningConfig(Config):
  """One mining job.

  Attributes:
    images: glob patterns of the photographs.
    recipe: `hard` keeps the tiles that compress worst (1608.05148, section 4),
      `resize` shrinks the whole image to one patch (1511.06085, section 4).
    per_image: patches kept of one photograph at each of its `reductions` (`hard`
      only).
    max_side_px: shrink to this longest side before cutting, which hides the 8x8
      grid of photographs that were JPEGs; None leaves the size alone.
    eval_share: share of the photographs whose patches form the `eval` split.
    num_shards: files per split.
    max_dead_share: the job fails when more than this share of the photographs
      cannot be used.
    max_pixels: larger images are refused before they are decoded.
    patch_px: side of a patch, a multiple of 16 from 16 to 256.
    reductions: each photograph is mined shrunk by each of these factors, after
      `max_side_px`; (1, 2, 4) mines it whole, at half and at a quarter of its sides
      (`hard` only).
  """

  images: tuple[str, ...]
  recipe: Literal["hard", "resize"] = "hard"
  per_image: int = 100
  max_side_px: int | None = None
  eval_share: float = 0.1
  num_shards: int = 4
  max_dead_share: float = 0.1
  max_pixels: int = 200_000_000
  patch_px: int = added(PATCH_PX)
  reductions: tuple[int, ...] = added((1,))

  def __post_init__(self):
    require(bool(self.images), "at least one glob", images=self.images)
    require(self.per_image > 0, "per_image > 0", per_image=self.per_image)
    require(
      self.patch_px in range(16, 257, 16),
      "patch_px as a multiple of 16 from 16 to 256",
      patch_px=self.patch_px,
    )
    require(
      self.max_side_px is None or self.max_side_px >= self.patch_px,
      f"max_side_px >= {self.patch_px}",
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
    require(
      len(self.reductions) == len(set(self.reductions)) > 0
      and min(self.reductions) > 0,
      "reductions as whole numbers from 1, each once",
      reductions=self.reductions,
    )
    require(  # the whole photograph becomes one patch: hardly another one
      self.recipe == "hard" or self.reductions == (1,),
      "reductions=(1,) with the recipe 'resize'",
      reductions=self.reductions,
    )
