"""Fits a context model to codes, on any Keras backend: minutes on two cores."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import keras
import numpy as np

from hardmine.schemas.entropy_config import EntropyConfig
from hardmine.trainers.codec.entropy.context_model import ContextModel, Stage
from hardmine.trainers.codec.entropy_fitting.code_sets import CodeSet
from hardmine.trainers.codec.entropy_fitting.network import (
  ContextNetwork,
  cost,
  inputs_of,
)
from hardmine.trainers.codec.entropy_fitting.rounding import (
  probability_table,
  rounded_stage,
)

_WARMUP_STEPS = 100
_WEIGHED = 16_384  # positions on which a stage is judged
_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
  """What came of it.

  Attributes:
    model: whole numbers.
    costs: bits a bit of every iteration, of the codes that were held out, in floats;
      of those that it was fitted to, where none were.
  """

  model: ContextModel
  costs: tuple[float, ...]


def fit(
  codes: CodeSet,
  config: EntropyConfig,
  held_out: CodeSet | None = None,
  report: Callable[[str], None] = print,
) -> Fitted:
  """Fits a model, stage by stage.

  Args:
    codes: to fit to.
    config: how.
    held_out: to say what it costs on others.
    report: receives a line a stage.

  Raises:
    ValueError: weights became too large for whole numbers.
  """
  keras.utils.set_random_seed(config.seed)
  stages, costs = [], []
  first = 0
  for slots in stage_slots(config.stages, codes.iterations):
    stage, found = _fit_stage(codes, held_out or codes, config, first, slots)
    stages.append(stage)
    costs += found
    last = first + slots
    told = f"iteration {last}" if slots == 1 else f"iterations {first + 1} to {last}"
    report(f"{told}: {np.mean(found):.4f} bits a bit")
    first = last
  model = ContextModel(
    stages=tuple(stages), group=config.group, table=probability_table()
  )
  return Fitted(model=model, costs=tuple(costs))


def stage_slots(ends: tuple[int, ...], iterations: int) -> list[int]:
  """Iterations of every stage.

  Args:
    ends: the last iteration of each but the last, which has all the others.
    iterations: that there are.
  """
  borders = [0, *(end for end in ends if end < iterations), iterations]
  return [end - begin for begin, end in itertools.pairwise(borders)]


def _fit_stage(
  codes: CodeSet, held_out: CodeSet, config: EntropyConfig, first: int, slots: int
) -> tuple[Stage, list[float]]:
  """A stage, and what each of its iterations costs."""
  num_rows = sum(len(codes.rows(first + slot)) for slot in range(slots))
  network = ContextNetwork(
    config.hidden,
    config.group,
    slots,
    config.dropout,
    config.penalty / num_rows,
    config.seed + first,
  )
  schedule = keras.optimizers.schedules.CosineDecay(
    0.0,
    config.steps,
    warmup_target=config.learning_rate,
    warmup_steps=min(_WARMUP_STEPS, config.steps // 2),
  )
  optimizer = keras.optimizers.AdamW(
    schedule,  # pyright: ignore - as Keras documents
    beta_2=0.99,
    weight_decay=config.weight_decay,
  )
  network.compile(optimizer=optimizer, loss=cost)
  network.fit(
    _batches(codes, config, first, slots),
    steps_per_epoch=config.steps,
    epochs=1,
    verbose=0,  # pyright: ignore
  )
  names = ("bias", "near", "before", "gains", "within", "out")
  weights = {
    name: np.asarray(keras.ops.convert_to_numpy(getattr(network, name)))
    for name in names
  }
  costs = [_cost(network, held_out, first + slot, slot) for slot in range(slots)]
  return rounded_stage(weights), costs


def _batches(
  codes: CodeSet, config: EntropyConfig, first: int, slots: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
  rng = np.random.default_rng([config.seed, first])
  rows = [codes.rows(first + slot) for slot in range(slots)]
  orders = [_endless(one, rng) for one in rows]
  while True:
    slot = int(rng.integers(slots))
    some = np.array([next(orders[slot]) for _ in range(config.batch_size)])
    batch = codes.batch(some, first + slot)
    yield inputs_of(batch, slot), batch.signs


def _endless(rows: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
  """All of them in a random order, again and again."""
  while True:
    yield from rng.permutation(rows)


def _cost(network: ContextNetwork, codes: CodeSet, iteration: int, slot: int) -> float:
  rows = codes.rows(iteration)
  if not len(rows):
    return float("nan")
  some = np.random.default_rng(0).permutation(rows)[:_WEIGHED]
  sums = 0.0
  for begin in range(0, len(some), _AT_ONCE):
    batch = codes.batch(some[begin : begin + _AT_ONCE], iteration)
    found = cost(batch.signs, network(inputs_of(batch, slot)))
    sums += float(np.asarray(keras.ops.convert_to_numpy(found))) * len(batch.signs)
  return sums / len(some)
