"""In which order the bits of an iteration are coded, and what is known meanwhile.

Positions are coded in six classes by their place in squares of 4x4, so that most have
coded neighbours on all sides, and all of a class at once:

    0 4 2 4        class 0 has nothing of its own iteration around it, 1 and 2 have
    5 3 5 3        some at a distance, 3 has its four diagonal neighbours, 4 those
    2 4 1 4        above, below, left and right, 5 all eight
    5 3 5 3

Within a class, positions go row by row, in blocks of at most `BLOCK`; of a block, the
32 bits of all positions in groups of a few channels.
"""

from __future__ import annotations

import numpy as np

PERIOD = 4
CLASSES = np.array([[0, 4, 2, 4], [5, 3, 5, 3], [2, 4, 1, 4], [5, 3, 5, 3]], np.uint8)
NUM_CLASSES = 6
BLOCK = 4096
RADIUS = 2  # of the window of the same iteration
SQUARE = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]  # of the iteration before
WINDOW = [
  (y, x)
  for y in range(-RADIUS, RADIUS + 1)
  for x in range(-RADIUS, RADIUS + 1)
  if (y, x) != (0, 0)
]


def _known(number: int) -> list[int]:
  """Places in `WINDOW` that were coded before, for every position of a class."""
  members = np.argwhere(number == CLASSES)
  return [
    place
    for place, (y, x) in enumerate(WINDOW)
    if all(
      CLASSES[(row + y) % PERIOD, (column + x) % PERIOD] < number
      for row, column in members
    )
  ]


KNOWN = [_known(number) for number in range(NUM_CLASSES)]


def class_of(rows: int, columns: int) -> np.ndarray:
  """uint8 [rows, columns], the class of every position of a grid."""
  return CLASSES[np.arange(rows)[:, None] % PERIOD, np.arange(columns) % PERIOD]
