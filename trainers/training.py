"""Trains a model to its last step; any Keras backend, one device or several.

Nothing here needs TensorFlow unless Keras runs on it, so that the same loop
trains on JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import keras

from hardmine.schemas.training_config import TrainingConfig
from hardmine.trainers.callbacks import Progress, SaveCheckpoints, StopOnNaN
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.devices import device_scope

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
) -> M:
  """Trains to `config.steps`, from the newest checkpoint if there is one.

  Args:
    make_model: a compiled model with its weights and its optimizer's state.
    config: the training.
    batches_from: maps a step to the batches that follow it.
    checkpoints: where to resume from and save to.
    callbacks: more of them, given the model.
    validation: finite batches whose loss is logged ten times.
    report: receives progress lines.
    begin: is given the model where there is no checkpoint, before the first step.
    suspects: says on which examples the loss stopped being a number, if known.

  Raises:
    RuntimeError: the loss is not a number any more.
  """
  if config.mixed_precision:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
  window = config.summary_steps
  quiet: Any = 0
  with device_scope(config.strategy, report):
    model = make_model()
    step = checkpoints.restore(model)
    if step:
      report(f"resuming from step {step} of {config.steps}")
    else:
      begin(model)
    epochs = config.steps // window
    if step < config.steps:
      model.fit(
        batches_from(step),
        epochs=epochs,
        initial_epoch=step // window,
        steps_per_epoch=window,
        validation_data=validation,
        validation_freq=max(1, epochs // 10),
        verbose=quiet,
        callbacks=[
          StopOnNaN(window, lambda: suspects(model)),
          SaveCheckpoints(checkpoints, window, config.checkpoint_steps, config.steps),
          Progress(window, config.steps, report),
          *callbacks(model),
        ],
      )
  return model
