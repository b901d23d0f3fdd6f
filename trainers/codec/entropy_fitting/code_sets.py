"""The codes of many pictures, as a context network is fitted to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.entropy import contexts
from hardmine.trainers.codec.entropy.contexts import Planes
from hardmine.trainers.codec.entropy.order import KNOWN, WINDOW, class_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
  """Some positions of an iteration.

  Attributes:
    signs: int8 [b, 32], the bits that are to be told.
    near: int8 [b, 24 * 32], zeros where nothing is known yet.
    before: int8 [b, 12 * 32].
    gains: float32 [b, 3].
    kind: int32 [b], the class of each.
  """

  signs: np.ndarray
  near: np.ndarray
  before: np.ndarray
  gains: np.ndarray
  kind: np.ndarray


class CodeSet:
  """Positions of the codes of many pictures, by iteration."""

  def __init__(self, pictures: Iterable[tuple[np.ndarray, np.ndarray]]):
    """Takes all pictures, 32 bytes a position and iteration.

    Args:
      pictures: codes, uint8 {0, 1} [iterations, rows, columns, 32], and gains, uint8
        [iterations], of each; some may have fewer iterations than others.
    """
    # Longest first: then a position has one place in the signs of all iterations.
    made = [(Planes.of(codes), gains) for codes, gains in pictures]
    made.sort(key=lambda one: -len(one[1]))
    require(len(made) > 0, "at least one picture", pictures=0)
    self._lengths = np.array([len(gains) for _, gains in made])
    self._signs = [
      np.concatenate([planes.signs[number] for planes, _ in made[:count]])
      for number in range(self.iterations)
      if (count := int((self._lengths > number).sum()))
    ]
    self._gains = np.zeros((len(made), self.iterations), np.uint8)
    for row, (_, gains) in zip(self._gains, made):
      row[: len(gains)] = gains
    positions = [_positions(planes) for planes, _ in made]
    begins = np.cumsum([0, *(planes.signs.shape[1] for planes, _ in made)])
    self._owner = np.repeat(np.arange(len(made)), [len(p) for p, _ in positions])
    self._strides = np.array([planes.stride for planes, _ in made])
    places = [begin + one for begin, (one, _) in zip(begins, positions)]
    self._places = np.concatenate(places)
    self._kinds = np.concatenate([kinds for _, kinds in positions])

  @property
  def iterations(self) -> int:
    """Of the picture that has most."""
    return int(self._lengths.max())

  @property
  def num_pictures(self) -> int:
    """How many."""
    return len(self._lengths)

  def rows(self, iteration: int) -> np.ndarray:
    """Numbers of the positions that have an iteration, by which `batch` asks."""
    return np.flatnonzero(self._lengths[self._owner] > iteration)

  def batch(self, rows: np.ndarray, iteration: int) -> Batch:
    """What is known of positions, and what they are."""
    places, kinds, owners = self._places[rows], self._kinds[rows], self._owner[rows]
    strides = self._strides[owners]
    near = contexts.near(self._signs, strides, iteration, places)
    near *= _KNOWN[kinds][:, :, None]
    return Batch(
      signs=self._signs[iteration][places],
      near=near.reshape(len(rows), -1),
      before=contexts.before(self._signs, strides, iteration, places),
      gains=contexts.gains_seen(self._gains[owners], iteration).astype(np.float32),
      kind=kinds,
    )


def _positions(planes: Planes) -> tuple[np.ndarray, np.ndarray]:
  """Places and classes of all positions of a grid."""
  grid = planes.inner.shape[1:3]
  rows, columns = (side.ravel() for side in np.indices(grid))
  kinds = class_of(*grid).ravel().astype(np.int32)
  return planes.places(rows, columns), kinds


_KNOWN = np.zeros((len(KNOWN), len(WINDOW)), np.int8)
for _kind, _places in enumerate(KNOWN):
  _KNOWN[_kind, _places] = 1
