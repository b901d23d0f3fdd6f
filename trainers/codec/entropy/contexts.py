"""What is known of a position before its bits are: the inputs of a context network.

All are whole numbers: bits as -1 and +1, 0 beyond the border or where nothing was coded
yet, and gains less `GAIN_CENTRE`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.entropy.order import RADIUS, SQUARE, WINDOW

OLDER = 3  # iterations before the one before, of which the centre is seen
GAIN_CENTRE = 32
NUM_GAINS = 3  # of this iteration, of the one before, and the first
NEAR = len(WINDOW) * CODE_DEPTH
BEFORE = (len(SQUARE) + OLDER) * CODE_DEPTH


@dataclasses.dataclass(frozen=True)
class Planes:
  """The codes of one grid, with a border around them.

  Attributes:
    signs: int8 [iterations, positions, 32] of the grid with its border; -1, 0 or 1.
    stride: positions from a row to the next.
  """

  signs: np.ndarray
  stride: int

  @classmethod
  def empty(cls, iterations: int, rows: int, columns: int) -> Planes:
    """Of a grid of which nothing is known yet."""
    stride = columns + 2 * RADIUS
    size = (rows + 2 * RADIUS) * stride
    return cls(np.zeros((iterations, size, CODE_DEPTH), np.int8), stride)

  @classmethod
  def of(cls, codes: np.ndarray, heights: np.ndarray | None = None) -> Planes:
    """Of codes, uint8 {0, 1} [iterations, rows, columns, 32].

    With heights, uint8 [rows, columns], nothing is known of iterations beyond them.
    """
    planes = cls.empty(*codes.shape[:3])
    planes.inner[...] = 2 * codes.astype(np.int8) - 1
    if heights is not None:
      numbers = np.arange(len(codes))[:, None, None]
      planes.inner[heights <= numbers] = 0
    return planes

  @property
  def inner(self) -> np.ndarray:
    """int8 [iterations, rows, columns, 32], the grid without its border, as it lies."""
    signs = self.signs.reshape(len(self.signs), -1, self.stride, CODE_DEPTH)
    return signs[:, RADIUS:-RADIUS, RADIUS:-RADIUS]

  def places(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Where positions of the grid lie in `signs`."""
    return (rows + RADIUS) * self.stride + columns + RADIUS


def near(
  signs: np.ndarray | Sequence[np.ndarray],
  stride: int | np.ndarray,
  iteration: int,
  places: np.ndarray,
  wanted: Sequence[int] = range(len(WINDOW)),
) -> np.ndarray:
  """int8 [positions, wanted places of `WINDOW`, 32] of the same iteration."""
  steps = _steps([WINDOW[place] for place in wanted], stride)
  return signs[iteration][places[:, None] + steps]


def before(
  signs: np.ndarray | Sequence[np.ndarray],
  stride: int | np.ndarray,
  iteration: int,
  places: np.ndarray,
) -> np.ndarray:
  """int8 [positions, `BEFORE`] of earlier iterations; zeros of those that are none."""
  found = np.zeros((len(places), len(SQUARE) + OLDER, CODE_DEPTH), np.int8)
  if iteration > 0:
    around = places[:, None] + _steps(SQUARE, stride)
    found[:, : len(SQUARE)] = signs[iteration - 1][around]
  for age in range(min(OLDER, iteration - 1)):
    found[:, len(SQUARE) + age] = signs[iteration - 2 - age][places]
  return found.reshape(len(places), BEFORE)


def gains_seen(gains: np.ndarray, iteration: int) -> np.ndarray:
  """int64 [..., `NUM_GAINS`] of gains [..., iterations]."""
  seen = gains[..., [iteration, max(iteration - 1, 0), 0]]
  return seen.astype(np.int64) - GAIN_CENTRE


def _steps(shape: list[tuple[int, int]], stride: int | np.ndarray) -> np.ndarray:
  """From a position to those around it, [places] or [positions, places]."""
  rows, columns = np.array(shape).T
  return np.asarray(stride)[..., None] * rows + columns
