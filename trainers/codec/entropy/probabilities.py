"""A context network at work, in whole numbers that float32 holds exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.entropy import contexts
from hardmine.trainers.codec.entropy.context_model import ContextModel, Stage
from hardmine.trainers.codec.entropy.contexts import Planes
from hardmine.trainers.codec.entropy.order import (
  BLOCK,
  KNOWN,
  NUM_CLASSES,
  class_of,
)

# Bits, of probabilities of a 1 in 65536ths (uint16 [positions, channels]); those of the
# channels of `places`.
Coder = Callable[[np.ndarray, np.ndarray, slice], np.ndarray]


class Probabilities:
  """Goes through the bits of a grid in the order in which they are coded."""

  def __init__(self, model: ContextModel):
    """Takes a model, of which it makes what it multiplies with."""
    self._model = model
    self._stages = {id(stage): _Ready(stage) for stage in model.stages}
    self._table = model.table

  def iteration(
    self, planes: Planes, grid: tuple[int, int], number: int, gains: np.ndarray,
    code: Coder, heights: np.ndarray | None = None,
  ) -> None:  # fmt: skip
    """Goes through an iteration.

    Args:
      planes: those before are known; this one is filled by what `code` gives.
      grid: rows and columns.
      number: of the iteration, from 0 on.
      gains: uint8 [iterations] of the tile.
      code: is given probabilities, and gives the bits.
      heights: uint8 [rows, columns]; positions that have not so many iterations are
        passed over. None has all.
    """
    stage, slot = self._model.stage_of(number)
    ready = self._stages[id(stage)]
    seen = contexts.gains_seen(gains, number).astype(np.float32)
    classes = class_of(*grid)
    if heights is not None:
      classes = np.where(heights > number, classes, NUM_CLASSES)
    for kind in range(NUM_CLASSES):
      rows, columns = np.nonzero(classes == kind)
      places = planes.places(rows, columns)
      start = ready.bias[slot, kind] + seen @ ready.gains
      for begin in range(0, len(places), BLOCK):
        block = places[begin : begin + BLOCK]
        u = ready.beginning(planes, number, kind, block) + start
        self._block(ready, planes.signs[number], block, u, code)

  def _block(
    self, ready: _Ready, signs: np.ndarray, places: np.ndarray, u: np.ndarray,
    code: Coder,
  ) -> None:  # fmt: skip
    group = self._model.group
    for first in range(0, CODE_DEPTH, group):
      channels = slice(first, first + group)
      bits = code(
        self._table[ready.index(u, channels, len(self._table))], places, channels
      )
      new = 2 * bits.astype(np.int8) - 1
      signs[places, channels] = new
      if channels.stop < CODE_DEPTH:
        u += new.astype(np.float32) @ ready.within[channels]


class _Ready:
  """The weights of a stage as float32, laid out for their products."""

  def __init__(self, stage: Stage):
    self._stage, self._hidden = stage, stage.hidden
    self.bias, self.gains, self.within, self._out = (
      part.astype(np.float32)
      for part in (stage.bias, stage.gains, stage.within, stage.out)
    )
    self._before = stage.before.astype(np.float32)
    windows = stage.near.reshape(-1, CODE_DEPTH, stage.near.shape[1])
    self._near = [
      windows[known].reshape(-1, stage.near.shape[1]).astype(np.float32)
      for known in KNOWN
    ]
    self._half = np.float32((1 << stage.activation_shift) >> 1)
    self._down = np.float32(2.0**-stage.activation_shift)
    self._up = np.float32(2.0**stage.direct_shift)
    self._to_index = np.float32(2.0**-stage.index_shift)

  def beginning(
    self, planes: Planes, iteration: int, kind: int, places: np.ndarray
  ) -> np.ndarray:
    """`u` without its bias, before any bit of these positions is known."""
    seen = contexts.before(planes.signs, planes.stride, iteration, places)
    used = _used_before(iteration)
    u = seen[:, :used].astype(np.float32) @ self._before[:used]
    if KNOWN[kind]:
      around = contexts.near(
        planes.signs, planes.stride, iteration, places, KNOWN[kind]
      )
      u += around.reshape(len(places), -1).astype(np.float32) @ self._near[kind]
    return u

  def index(self, u: np.ndarray, channels: slice, size: int) -> np.ndarray:
    """Places in the table of some channels' probabilities."""
    hidden = u[:, : self._hidden] + self._half
    hidden *= self._down
    np.floor(hidden, out=hidden)
    np.clip(hidden, 0, self._stage.top, out=hidden)
    found = hidden @ self._out[:, channels]
    direct = slice(self._hidden + channels.start, self._hidden + channels.stop)
    found += u[:, direct] * self._up
    found *= self._to_index
    found = np.floor(found) + np.float32(size // 2)
    return np.clip(found, 0, size - 1).astype(np.intp)


def _used_before(iteration: int) -> int:
  """Of the inputs of `contexts.before`, those that are not zeros."""
  if iteration == 0:
    return 0
  ages = min(contexts.OLDER, iteration - 1)
  return (len(contexts.SQUARE) + ages) * CODE_DEPTH
