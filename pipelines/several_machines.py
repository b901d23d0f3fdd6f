"""A run on several machines, all of which were given the same command.

The chief runs the pipeline. The others train when its Trainer does, and touch neither
ML Metadata nor the outputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hardmine.schemas.config import require
from hardmine.schemas.experiment import Experiment
from hardmine.trainers.workers import current, job
from hardmine.trainers.workers.tf_config import VARIABLE, place_of

TRAINER = "Trainer"


@contextlib.contextmanager
def joined(
  experiment: Experiment,
  node: str | None = None,
  say: Callable[[str], None] = print,
) -> Iterator[bool]:
  """Inside, the machines that TF_CONFIG names wait for the chief's Trainer.

  Args:
    experiment: what is run; its `training.strategy` says whether machines train
      together.
    node: the only one that is run, if it is one.
    say: receives lines.

  Yields:
    Whether this process was one of the others, and has done its part.

  Raises:
    ValueError: the strategy and TF_CONFIG do not go together.
    RuntimeError: a machine is missing or has failed.
  """
  strategy, place = experiment.training.strategy, place_of()
  several = strategy == current.STRATEGY
  require(
    several or place is None or place.rank is None or place.size == 1,
    f"--strategy {current.STRATEGY} where {VARIABLE} names several machines, as each "
    "would run everything",
    strategy=strategy,
  )
  if place is not None and place.rank is None:
    say(f"{place.name}: Hardmine has nothing for such a task to do")
    yield True
  elif several and place is not None and not place.is_chief:
    if node in (None, TRAINER):
      trained = job.work(strategy, say)
      say(f"{place.name}: {'done' if trained else 'there was nothing to train'}")
    else:
      say(f"{place.name}: {node} runs on {place.names[0]} alone")
    yield True
  elif several and node in (None, TRAINER):
    with current.joined(strategy, say):
      yield False
  else:
    yield False
