"""Training with codes left out, as streams with a height map leave them out.

Johnston et al. 2017 (arXiv 1703.10114) and Covell et al. 2017 (1705.06687): a decoder
bears missing codes better that has met them. A share of the pictures gets a random
height map, smooth as real ones are: a few control points, drawn evenly from one
iteration to all, with bilinear interpolation between them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.trainers.replicas import own_rows

_POINTS = 3  # a side


class Omission(keras.layers.Layer):
  """Random height maps.

  Args:
    share: of the pictures that get one; the others have all iterations everywhere.
    seed: of the drawing.
  """

  def __init__(self, share: float, seed: int = 0, **kwargs: Any):
    super().__init__(dtype="float32", **kwargs)
    self.share = share
    self.seed_generator = keras.random.SeedGenerator(seed)

  def heights(self, batch: Any, rows: int, columns: int, iterations: int) -> Any:
    """Heights, float32 [b, rows, columns, 1], whole numbers from 1 to `iterations`."""

    def drawn(*shape: int) -> Any:
      return own_rows(
        lambda size: keras.random.uniform((size, *shape), seed=self.seed_generator),
        batch,
      )

    points = 0.5 + iterations * drawn(_POINTS, _POINTS, 1)
    heights = ops.image.resize(
      points, (rows, columns), interpolation="bilinear", data_format="channels_last"
    )
    heights = ops.clip(ops.round(heights), 1, iterations)
    return ops.where(drawn(1, 1, 1) < self.share, heights, float(iterations))


def pixels_of(there: Any) -> Any:
  """[b, rows, columns, 1] of positions to [b, h, w, 1] of their pixels."""
  return ops.repeat(ops.repeat(there, STRIDE_PX, axis=1), STRIDE_PX, axis=2)
