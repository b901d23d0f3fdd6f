"""Cutting a photograph into whole tiles that do not overlap."""

from __future__ import annotations

import numpy as np

from schemas.config import require
from schemas.mining_config import PATCH_PX


def cut(image: np.ndarray) -> np.ndarray:
  """The whole 32x32 tiles of an image, from its upper left corner.

  Args:
    image: uint8 [height, width, 3], RGB; up to 31 px at the right and at the
      bottom belong to no tile.

  Returns:
    uint8 [height // 32, width // 32, 32, 32, 3]; tile (i, j) is
    `image[32 * i : 32 * i + 32, 32 * j : 32 * j + 32]`.

  Raises:
    ValueError: the image is not uint8 RGB.
  """
  require(
    image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3,
    "a uint8 image [height, width, 3]",
    shape=image.shape,
    dtype=str(image.dtype),
  )
  rows, columns = (side // PATCH_PX for side in image.shape[:2])
  whole = image[: rows * PATCH_PX, : columns * PATCH_PX]
  grid = whole.reshape(rows, PATCH_PX, columns, PATCH_PX, 3)
  return grid.swapaxes(1, 2)
