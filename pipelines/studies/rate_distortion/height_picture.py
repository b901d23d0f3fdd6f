"""A height map drawn over its picture: where the bits of an adaptive file go."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hardmine.schemas.codec_config import STRIDE_PX, USUAL_ITERATIONS
from hardmine.trainers.codec.streams.height_map import by_tile
from hardmine.trainers.codec.streams.stream import Stream

MOST_DRAWN = USUAL_ITERATIONS  # have the last colour, and more have it too
WIDTH_PX = 480  # at most
# from few to many, told apart by brightness alone too (anchors of viridis)
_COLOURS = np.array(
  [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float
)
_LEGEND = 6  # entries at most
_COLOUR_SHARE = 0.6  # the picture's greys have the rest


def colour_of(height: np.ndarray | float, most: int) -> np.ndarray:
  """uint8 [..., 3] of heights from 0 to `most`."""
  place = np.asarray(height, float) / max(most, 1) * (len(_COLOURS) - 1)
  steps = np.arange(len(_COLOURS))
  parts = [np.interp(place, steps, _COLOURS[:, k]) for k in range(3)]
  return np.rint(np.stack(parts, axis=-1)).astype(np.uint8)


def drawn(pixels: np.ndarray, stream: Stream, most: int) -> np.ndarray:
  """The map over the picture in greys, uint8, at most `WIDTH_PX` wide.

  Args:
    pixels: uint8 [height, width, 3], the picture.
    stream: of it, with heights.
    most: iterations that have the last colour.
  """
  assert stream.heights is not None
  heights = np.empty(pixels.shape[:2], np.uint8)
  for (rows, columns), grid in zip(
    stream.header.tiles, by_tile(stream.header, stream.heights)
  ):
    part = heights[rows, columns]
    spread = grid.repeat(STRIDE_PX, axis=0).repeat(STRIDE_PX, axis=1)
    part[...] = spread[: part.shape[0], : part.shape[1]]
  width_px = min(WIDTH_PX, pixels.shape[1])
  height_px = max(1, round(pixels.shape[0] * width_px / pixels.shape[1]))
  size = (width_px, height_px)
  grey = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.LANCZOS)
  small = Image.fromarray(heights).resize(size, Image.Resampling.NEAREST)
  mixed = _COLOUR_SHARE * colour_of(np.asarray(small), most).astype(float)
  mixed += (1 - _COLOUR_SHARE) * np.asarray(grey, float)[..., None]
  return np.rint(mixed).astype(np.uint8)


def legend(most: int) -> list[tuple[int, str]]:
  """Some numbers of iterations and the colour that each has, as `#rrggbb`."""
  count = min(most, _LEGEND)
  numbers = sorted({round(one) for one in np.linspace(1, most, count)})
  return [(one, "#" + bytes(colour_of(one, most).tolist()).hex()) for one in numbers]
