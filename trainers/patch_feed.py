"""Batches of patches for trainings that stop and go on at any step.

The order of a pass and the turns of a batch are drawn from the seed and a number
alone, so any batch is found at once, however many came before it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from hardmine.schemas.config import require


class PatchFeed:
  """An endless sequence of batches, each of them a function of its number.

  Args:
    patches: uint8 [n, side, side, 3].
    batch_size: patches a batch; a batch may run over the end of a pass.
    seed: of orders and turns.
    augment: shows each patch in one of the square's eight positions.
  """

  def __init__(
    self, patches: np.ndarray, batch_size: int, seed: int, augment: bool = True
  ):
    require(len(patches) > 0, "at least one patch", num_patches=len(patches))
    self._patches, self._batch_size, self._seed = patches, batch_size, seed
    self._num_turns = 8 if augment else 1
    self._order = functools.lru_cache(maxsize=2)(self._draw_order)

  def batch(self, number: int, rows: slice = slice(None)) -> np.ndarray:
    """Of batch `number`, from 0: float32 [rows, side, side, 3] in [-0.5, 0.5]."""
    first = number * self._batch_size
    turns = np.random.default_rng((self._seed, 1, number)).integers(
      self._num_turns, size=self._batch_size
    )
    examples = range(first, first + self._batch_size)[rows]
    chosen = []
    for example, turn in zip(examples, turns[rows]):
      pass_number, place = divmod(example, len(self._patches))
      patch = self._patches[self._order(pass_number)[place]]
      patch = np.rot90(patch, turn % 4)
      chosen.append(patch[:, ::-1] if turn >= 4 else patch)
    return np.stack(chosen).astype(np.float32) / 255 - np.float32(0.5)

  def batches(
    self, first: int, rows: slice = slice(None)
  ) -> Iterator[tuple[np.ndarray]]:
    """All batches from `first` on, each in a tuple, as Keras' `fit` wants them."""
    while True:
      yield (self.batch(first, rows),)
      first += 1

  def _draw_order(self, pass_number: int) -> np.ndarray:
    generator = np.random.default_rng((self._seed, 0, pass_number))
    return generator.permutation(len(self._patches))
