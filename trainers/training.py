"""Trains a model to its last step; any Keras backend, one device or several.

Nothing here needs TensorFlow unless Keras runs on it, so that the same loop
trains on JAX.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras
import numpy as np

from hardmine.schemas.training_config import TrainingConfig
from hardmine.trainers.callbacks import Progress, SaveCheckpoints, StopOnNaN
from hardmine.trainers.checkpoints import Checkpoints, named_state
from hardmine.trainers.devices import device_scope, num_devices
from hardmine.trainers.evaluations import Evaluate, Evaluations
from hardmine.trainers.replicas import even_batches, in_step, require_even
from hardmine.trainers.workers.current import joined
from hardmine.trainers.workers.team import Chief, Team, Worker

M = TypeVar("M", bound=keras.Model)


def train_model(
  make_model: Callable[[], M],
  config: TrainingConfig,
  batches_from: Callable[[int], Iterable],
  checkpoints: Checkpoints,
  callbacks: Callable[[M], list[keras.callbacks.Callback]] = lambda _: [],
  validation: Any = None,
  report: Callable[[str], None] = print,
  suspects: Callable[[M], str] = lambda _: "",
  begin: Callable[[M], None] = lambda _: None,
  evaluations: Evaluations | None = None,
) -> M:
  """Trains to `config.steps`, from the newest checkpoint if there is one.

  Where `evaluations` lose patience it ends before.

  Of several machines the chief alone reads and writes checkpoints, validates and calls
  callbacks; the model that the others return has the same weights if it was trained.

  Args:
    make_model: a compiled model with its weights and its optimizer's state.
    config: the training.
    batches_from: maps a step to the batches that follow it; on several machines, to
      the rows of them that are this machine's (`workers.current.row_share`).
    checkpoints: where to resume from and save to.
    callbacks: more of them, given the model.
    validation: finite batches whose loss is logged ten times.
    report: receives progress lines.
    begin: is given the model where there is no checkpoint, before the first step.
    suspects: says on which examples the loss stopped being a number, if known.
    evaluations: what is measured on held-out data on the way.

  Raises:
    ValueError: several devices or machines cannot share a batch evenly.
    RuntimeError: the loss is not a number any more, or a machine is missing.
  """
  if config.mixed_precision:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
  with joined(config.strategy, report) as team, device_scope(config.strategy, report):
    require_even(config.batch_size)
    model = make_model()
    step = _begun(model, config.steps, checkpoints, team, begin, report, evaluations)
    if step == config.steps:
      return model
    writes = team is None or team.is_chief
    evaluate = []
    if evaluations is not None:
      evaluations.team = team
      evaluate = [Evaluate(evaluations, config.summary_steps, writes)]
    with in_step(model):
      _fit(
        model,
        config,
        batches_from(step),
        step,
        team,
        [
          StopOnNaN(config.summary_steps, lambda: suspects(model)),
          *(
            [
              SaveCheckpoints(
                checkpoints,
                config.summary_steps,
                config.checkpoint_steps,
                config.steps,
                evaluations.is_due if evaluations else lambda _: False,
              ),
              Progress(config.summary_steps, config.steps, report),
              *evaluate,
              *callbacks(model),
            ]
            if writes
            else evaluate
          ),
        ],
        even_batches(validation) if writes else None,
      )
    if num_devices() > 1:
      gc.collect()  # readers of batches; at the end of Python they would hang it
    if isinstance(team, Chief):
      team.end()  # the last checkpoint is there, and nobody needs the others again
    elif isinstance(team, Worker):
      team.wait_for_end()
  return model


def _begun(
  model: keras.Model,
  steps: int,
  checkpoints: Checkpoints,
  team: Team | None,
  begin: Callable[[Any], None],
  report: Callable[[str], None],
  evaluations: Evaluations | None,
) -> int:
  """Brings a model to where its training goes on, the same on all machines.

  Returns:
    The step; the last where there is nothing to train.
  """
  step = 0
  if not isinstance(team, Worker):
    step = checkpoints.restore(model)
    if step:
      report(f"resuming from step {step} of {steps}")
    else:
      begin(model)
    if evaluations is not None and evaluations.resume(model, step):
      step = steps
  if team is None or step == steps:
    return step
  if isinstance(team, Chief):
    team.gather(report)
  elif isinstance(team, Worker) and not team.has_job and team.hear_job() is None:
    return steps
  variables = list(named_state(model).values())
  own = [np.asarray(step), *map(np.asarray, variables)]
  step, *values = team.from_chief(own)
  if isinstance(team, Worker):
    for variable, value in zip(variables, values):
      variable.assign(value)
  return int(step)


def _fit(
  model: keras.Model,
  config: TrainingConfig,
  batches: Iterable,
  step: int,
  team: Team | None,
  callbacks: list[keras.callbacks.Callback],
  validation: Any,
) -> None:
  """Steps to the last one; another machine's failure is told as that machine's."""
  window = config.summary_steps
  epochs = config.steps // window
  quiet: Any = 0
  try:
    model.fit(
      batches,
      epochs=epochs,
      initial_epoch=step // window,
      steps_per_epoch=window,
      validation_data=validation,
      validation_freq=max(1, epochs // 10),
      verbose=quiet,
      callbacks=callbacks,
    )
  except Exception:
    if team is not None and team.failure is not None:
      raise team.failure from None
    raise
