"""What a training measures on held-out data while it goes on.

Where measurements are asked for, every one comes right after a checkpoint of its step,
and a file beside the checkpoints says what was found. So a killed training goes on to
the same measurements, keeps the same checkpoint as its best, and ends at the same step.

On several machines the chief measures, and tells the others when training ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.optimizers import averaged
from hardmine.trainers.workers.team import Team

FILE_NAME = "evaluations.json"


class Evaluations:
  """The measurements of one training.

  Attributes:
    found: by step, what was measured.
    team: the machines that train together, if there are several.

  Args:
    measure: a model to numbers by name; with the moving averages of its weights where
      there are some.
    by: which of the numbers says what is best; higher is better.
    every: steps between two measurements; the last step is measured too.
    steps: of the training.
    patience: so many measurements in a row that are no better end the training.
    checkpoints: beside which the numbers are kept.
    report: receives a line a measurement.
  """

  def __init__(
    self,
    measure: Callable[[Any], dict[str, float]],
    by: str,
    *,
    every: int,
    steps: int,
    patience: int | None,
    checkpoints: Checkpoints,
    report: Callable[[str], None] = print,
  ):
    self.measure, self.by, self.every, self.steps = measure, by, every, steps
    self.patience, self.checkpoints, self.report = patience, checkpoints, report
    self.found: dict[int, dict[str, float]] = {}
    self.team: Team | None = None

  @property
  def best_step(self) -> int:
    """Of all that were measured, the first of equals; there is one at least."""
    return max(self.found, key=lambda step: (self.found[step][self.by], -step))

  @property
  def is_over(self) -> bool:
    """Whether patience has ended."""
    if self.patience is None or not self.found:
      return False
    return sum(step > self.best_step for step in self.found) >= self.patience

  def is_due(self, step: int) -> bool:
    """Whether a step is measured; on all machines alike."""
    return step > 0 and (step % self.every == 0 or step == self.steps)

  def resume(self, model: Any, step: int) -> bool:
    """Takes up what was measured up to a step, and measures what is missing of it.

    Args:
      model: as it was at the step.
      step: of the checkpoint that training goes on from; 0 for none.

    Returns:
      Whether training has ended there.
    """
    self.found = {
      int(name): numbers
      for name, numbers in json.loads(self.checkpoints.note(FILE_NAME) or "{}").items()
      if int(name) <= step
    }
    if self.found:
      self.checkpoints.pinned = {self.best_step}
    if self.is_due(step) and step not in self.found:
      self.add(model, step)
    return self.is_over

  def add(self, model: Any, step: int) -> dict[str, float]:
    """Measures a step, whose checkpoint is there, and keeps what was found."""
    with averaged(model):
      numbers = self.measure(model)
    self.found[step] = numbers
    self.checkpoints.write_note(
      FILE_NAME, json.dumps({str(step): n for step, n in sorted(self.found.items())})
    )
    self.checkpoints.pinned = {self.best_step}
    shown = "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())
    best = self.best_step
    place = "the best" if best == step else f"best {self.found[best][self.by]:.4f}"
    place += "" if best == step else f" at step {best}"
    self.report(f"step {step:>7}/{self.steps}  held-out {shown}  {place}")
    if self.is_over:
      self.report(
        f"training ends at step {step} of {self.steps}: {self.patience} measurements "
        f"brought no better {self.by} than that of step {best}"
      )
    return numbers


class Evaluate(keras.callbacks.Callback):
  """Measures after the checkpoint of a step, and stops all machines together.

  Args:
    evaluations: the training's.
    window: steps per epoch.
    measures: whether this machine does; the others hear what follows.
  """

  def __init__(self, evaluations: Evaluations, window: int, measures: bool):
    super().__init__()
    self.evaluations, self.window, self.measures = evaluations, window, measures

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    step = (epoch + 1) * self.window
    known = self.evaluations
    if not known.is_due(step):
      return
    if self.measures:
      for name, value in known.add(self.model, step).items():
        if logs is not None:
          logs[f"held_out_{name}"] = value
    over = np.asarray(known.is_over)
    if known.team is not None:
      (over,) = known.team.from_chief([over])
    if over:
      model: Any = self.model
      model.stop_training = True
