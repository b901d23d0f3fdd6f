"""Learning rates over time, and the optimizers that follow them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from schemas.training_config import TrainingConfig
from trainers.devices import on_accelerator


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
  return WarmUp(rate, config.warmup_steps) if config.warmup_steps else rate


def compile_model(model: keras.Model, optimizer: Any, config: TrainingConfig) -> None:
  """Compiles a model whose loss is its own, with its optimizer's state made."""
  if config.mixed_precision:
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
  optimizer.build(model.trainable_variables)
  xla: Any = "auto" if on_accelerator() else False
  model.compile(optimizer=optimizer, jit_compile=xla)
