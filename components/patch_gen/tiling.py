"""Cutting a photograph into whole tiles that do not overlap."""

from __future__ import annotations

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.mining_config import PATCH_PX


def cut(image: np.ndarray, patch_px: int = PATCH_PX) -> np.ndarray:
  """The whole tiles of an image, from its upper left corner.

  Args:
    image: uint8 [height, width, 3], RGB; up to `patch_px - 1` px at the right and
      at the bottom belong to no tile.
    patch_px: side of a tile.

  Returns:
    uint8 [height // p, width // p, p, p, 3], p being `patch_px`; tile (i, j) is
    `image[p * i : p * i + p, p * j : p * j + p]`.

  Raises:
    ValueError: the image is not uint8 RGB.
  """
  require(
    image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3,
    "a uint8 image [height, width, 3]",
    shape=image.shape,
    dtype=str(image.dtype),
  )
  rows, columns = (side // patch_px for side in image.shape[:2])
  whole = image[: rows * patch_px, : columns * patch_px]
  grid = whole.reshape(rows, patch_px, columns, patch_px, 3)
  return grid.swapaxes(1, 2)
