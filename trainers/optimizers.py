"""Learning rates over time, and the optimizers that follow them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.schemas.training_config import TrainingConfig
from hardmine.trainers.devices import num_devices, on_accelerator
from hardmine.trainers.workers.current import current


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
  """Rises linearly to what another schedule says, over the first steps."""

  def __init__(self, schedule: Any, steps: int):
    self.schedule, self.steps = schedule, steps

  def __call__(self, step: Any) -> Any:
    """The rate at a step; the first step's is not 0."""
    rate = self.schedule(step) if callable(self.schedule) else self.schedule
    share = (ops.cast(step, "float32") + 1) / self.steps
    return rate * ops.minimum(share, 1.0)

  def get_config(self) -> dict[str, Any]:
    """Keras' own interface."""
    return {"schedule": self.schedule, "steps": self.steps}


class CoolDown(keras.optimizers.schedules.LearningRateSchedule):
  """Stays level, then falls linearly to 0 over the last steps.

  Unlike a cosine over all steps it can be lengthened at any time before it falls
  (Hu et al. 2024, arXiv 2404.06395, section 4: warm-up, stable, decay).
  """

  def __init__(self, rate: float, steps: int, cooldown_steps: int):
    self.rate, self.steps, self.cooldown_steps = rate, steps, cooldown_steps

  def __call__(self, step: Any) -> Any:
    """The rate at a step; the last step's is the last above 0."""
    if not self.cooldown_steps:
      return self.rate
    left = (self.steps - ops.cast(step, "float32")) / self.cooldown_steps
    return self.rate * ops.clip(left, 0.0, 1.0)

  def get_config(self) -> dict[str, Any]:
    """Keras' own interface."""
    return {
      "rate": self.rate,
      "steps": self.steps,
      "cooldown_steps": self.cooldown_steps,
    }


def learning_rate(config: TrainingConfig) -> Any:
  """The schedule that a config names, as Keras' optimizers take it."""
  schedules = keras.optimizers.schedules
  match config.schedule:
    case "constant":
      rate: Any = config.learning_rate
    case "exponential":
      rate = schedules.ExponentialDecay(
        config.learning_rate, config.decay_steps, config.decay_rate, staircase=True
      )
    case "cosine":
      rate = schedules.CosineDecay(config.learning_rate, config.steps)
    case "stable":
      # a schedule even while it is level: an optimizer with a plain rate has one
      # variable more, and checkpoints would not fit once the rate is told to fall
      rate = CoolDown(config.learning_rate, config.steps, config.cooldown_steps)
  return WarmUp(rate, config.warmup_steps) if config.warmup_steps else rate


def compile_model(model: keras.Model, optimizer: Any, config: TrainingConfig) -> None:
  """Compiles a model whose loss is its own, with its optimizer's state made."""
  if config.mixed_precision:
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
  optimizer.build(model.trainable_variables)
  # XLA compiles one device's step and no sums over several.
  is_shared = keras.backend.backend() == "tensorflow" and (
    current() is not None or num_devices() > 1
  )
  xla: Any = "auto" if on_accelerator() and not is_shared else False
  model.compile(optimizer=optimizer, jit_compile=xla)


@contextlib.contextmanager
def averaged(model: Any) -> Iterator[None]:
  """Inside, a model has the moving averages of its weights, if its optimizer keeps any.

  At the end of `fit` Keras leaves them in the model; a training that finds itself
  finished, or that goes on afterwards, has the last ones.
  """
  optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
  if not optimizer.use_ema:
    yield
    return
  kept = [np.array(variable) for variable in model.trainable_variables]
  optimizer.finalize_variable_values(model.trainable_variables)
  try:
    yield
  finally:
    for variable, value in zip(model.trainable_variables, kept):
      variable.assign(value)
