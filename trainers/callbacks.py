"""What happens around training: saving, progress, summaries, NaN.

Keras calls these after every window of `summary_steps` steps, which stands for
an epoch, on any backend.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from hardmine.trainers.checkpoints import Checkpoints


class _Watcher(keras.callbacks.Callback):
  """A callback whose model is there: Keras annotates it as optional."""

  @property
  def trained(self) -> Any:
    return self.model

  @property
  def learning_rate(self) -> float:
    """At this step, whatever the schedule."""
    return float(np.asarray(self.trained.optimizer.learning_rate))


class SaveCheckpoints(_Watcher):
  """Saves every `every` steps, at the end, and at steps that are `also` wanted."""

  def __init__(
    self,
    checkpoints: Checkpoints,
    window: int,
    every: int,
    steps: int,
    also: Callable[[int], bool] = lambda step: False,
  ):
    super().__init__()
    self.checkpoints, self.window, self.steps = checkpoints, window, steps
    self.every, self.also = max(1, round(every / window)), also

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    step = (epoch + 1) * self.window
    if (epoch + 1) % self.every == 0 or step == self.steps or self.also(step):
      self.checkpoints.save(self.trained, step)


class StopOnNaN(keras.callbacks.Callback):
  """Ends training with an error as soon as a window's mean loss is not a number.

  It comes before `SaveCheckpoints`, so the newest checkpoint is a healthy one.

  Args:
    window: steps per epoch.
    suspects: names the examples it happened on, or "".
  """

  def __init__(self, window: int, suspects: Callable[[], str] = lambda: ""):
    super().__init__()
    self.window, self.suspects = window, suspects

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    loss = float((logs or {}).get("loss", math.nan))
    if not math.isfinite(loss):
      raise RuntimeError(
        f"the loss became {loss} between steps {epoch * self.window + 1} and "
        f"{(epoch + 1) * self.window}{self.suspects()}; lower training.learning_rate "
        "or set training.clip_norm, then run again: it resumes from the last checkpoint"
      )


class Progress(_Watcher):
  """One line a window: step, loss, learning rate, steps per second, time left."""

  def __init__(self, window: int, steps: int, report: Callable[[str], None] = print):
    super().__init__()
    self.window, self.steps, self.report = window, steps, report
    self.started = self.done = 0.0

  def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
    if not self.started:
      self.started = time.monotonic()
      self.done = epoch * self.window

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    step = (epoch + 1) * self.window
    speed = (step - self.done) / max(time.monotonic() - self.started, 1e-9)
    left = (self.steps - step) / speed
    self.report(
      f"step {step:>7}/{self.steps}  loss {(logs or {})['loss']:.5f}  "
      f"rate {self.learning_rate:.2e}  {speed:6.2f} steps/s  {_clock(left)} left"
    )


class Summaries(_Watcher):
  """TensorBoard: scalars of every window, and pictures of a fixed set of images.

  Args:
    directory: the event files.
    window: steps per epoch.
    pictures: returns uint8 [h, w, 3], drawn ten times during training.
    epochs: windows in all.
    title: of the pictures.
  """

  def __init__(
    self,
    directory: str,
    window: int,
    epochs: int,
    pictures: Callable[[], np.ndarray],
    title: str = "reconstructions",
  ):
    super().__init__()
    import tensorflow as tf

    self.summary = tf.summary
    self.writer = tf.summary.create_file_writer(directory)
    self.window, self.pictures, self.title = window, pictures, title
    self.every = max(1, epochs // 10)
    self.clock = time.monotonic()

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    step = (epoch + 1) * self.window
    now = time.monotonic()
    with self.writer.as_default(step=step):
      for name, value in (logs or {}).items():
        self.summary.scalar(name, value)
        self.summary.scalar("learning_rate", self.learning_rate)
      self.summary.scalar("steps_per_second", self.window / (now - self.clock))
      if (epoch + 1) % self.every == 0:
        self.summary.image(self.title, self.pictures()[np.newaxis])
    self.writer.flush()
    self.clock = time.monotonic()


def _clock(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
