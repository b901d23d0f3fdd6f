"""Context models of a few units, made of numbers that follow from their places."""

from __future__ import annotations

import itertools

import numpy as np

from hardmine.trainers.codec.entropy import contexts
from hardmine.trainers.codec.entropy.context_model import ContextModel, Stage
from hardmine.trainers.codec.entropy.probabilities import Probabilities
from hardmine.trainers.codec.entropy_fitting.rounding import probability_table

HIDDEN = 8


def numbers(shape: tuple[int, ...], most: int, factor: int) -> np.ndarray:
  """From -most to most, the same on every machine and with every NumPy."""
  found = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) + (factor << 20)
  for _ in range(2):  # as good as drawn
    found = (found ^ found >> 15) * 2246822519 & 0xFFFFFFFF
  return ((found * (2 * most + 1) >> 32).astype(np.int64) - most).reshape(shape)


def small_stage(slots: int, seed: int) -> Stage:
  """Some unlike any other."""

  def short(rows: int, most: int, factor: int, width: int = HIDDEN + 32) -> np.ndarray:
    return numbers((rows, width), most, factor + 100 * seed).astype(np.int16)

  return Stage(
    bias=numbers((slots, 6, HIDDEN + 32), 90, 3 + seed).astype(np.int32),
    near=short(768, 9, 5),
    before=short(384, 9, 7),
    gains=short(3, 5, 11),
    within=short(32, 20, 13),
    out=short(HIDDEN, 200, 17, 32),
    activation_shift=1,
    top=768,
    direct_shift=9,
    index_shift=8,
  )


def small_model(group: int = 8) -> ContextModel:
  """Of three iterations and those behind them."""
  return ContextModel(
    stages=(small_stage(1, 1), small_stage(2, 2)),
    group=group,
    table=probability_table(),
  )


def likely_tile(
  iterations: int, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
  """What `small_model` finds likely: bits are drawn as it says.

  Returns:
    Codes, uint8 {0, 1} [iterations, rows, columns, 32], and gains, uint8 [iterations].
  """
  seed = 1 + rows + 31 * columns
  gains = (32 + numbers((iterations,), 9, seed)).astype(np.uint8)
  planes = contexts.Planes.empty(iterations, rows, columns)
  drawn = iter(numbers((planes.signs.size,), 1 << 15, seed) + (1 << 15))

  def draw(chances: np.ndarray, *_: object) -> np.ndarray:
    levels = np.fromiter(itertools.islice(drawn, chances.size), np.int64)
    return levels.reshape(chances.shape) < chances

  for number in range(iterations):
    probabilities = Probabilities(small_model())
    probabilities.iteration(planes, (rows, columns), number, gains, draw)
  return (planes.inner > 0).astype(np.uint8), gains
