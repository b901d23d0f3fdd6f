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
    self._pictures = [(Planes.of(codes), gains) for codes, gains in pictures]
    require(len(self._pictures) > 0, "at least one picture", pictures=0)
    positions = [_positions(planes) for planes, _ in self._pictures]
    self._owner = np.repeat(np.arange(len(positions)), [len(p) for p, _ in positions])
    self._places = np.concatenate([places for places, _ in positions])
    self._kinds = np.concatenate([kinds for _, kinds in positions])
    self._lengths = np.array([len(gains) for _, gains in self._pictures])

  @property
  def iterations(self) -> int:
    """Of the picture that has most."""
    return int(self._lengths.max())

  @property
  def num_pictures(self) -> int:
    """How many."""
    return len(self._pictures)

  def rows(self, iteration: int) -> np.ndarray:
    """Numbers of the positions that have an iteration, by which `batch` asks."""
    return np.flatnonzero(self._lengths[self._owner] > iteration)

  def batch(self, rows: np.ndarray, iteration: int) -> Batch:
    """What is known of positions, and what they are."""
    rows = np.sort(rows)  # those of one picture are neighbours
    owners, places, kinds = self._owner[rows], self._places[rows], self._kinds[rows]
    parts = []
    for owner in np.unique(owners):
      planes, gains = self._pictures[owner]
      here = places[owners == owner]
      seen = contexts.gains_seen(gains, iteration).astype(np.float32)
      parts.append(
        (
          planes.signs[iteration][here],
          contexts.near(planes.signs, planes.stride, iteration, here),
          contexts.before(planes.signs, planes.stride, iteration, here),
          np.broadcast_to(seen, (len(here), len(seen))),
        )
      )
    signs, near, before, gains = (np.concatenate(part) for part in zip(*parts))
    near *= _KNOWN[kinds][:, :, None]
    return Batch(
      signs=signs,
      near=near.reshape(len(rows), -1),
      before=before,
      gains=gains,
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
