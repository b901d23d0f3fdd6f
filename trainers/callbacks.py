"""What happens around training: checkpoints, progress, summaries, NaN.

Keras calls these after every window of `summary_steps` steps, which stands for
an epoch, on any backend.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from schemas.manifest import sha256_of, write_atomically


class Checkpoints:
  """Files from which training resumes to the weights it would have had.

  A checkpoint is one `.npz` holding every variable of the model, the optimizer
  and the random generators, by name. It appears whole or not at all, and the two
  newest are kept.
  """

  def __init__(self, directory: str | os.PathLike):
    self.directory = Path(directory)

  def save(self, model: keras.Model, step: int) -> Path:
    """Writes `step-N.npz`."""
    self.directory.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    values = {name: np.asarray(v) for name, v in named_state(model).items()}
    np.savez(buffer, **values)  # pyright: ignore[reportArgumentType]
    path = self.directory / f"step-{step:09d}.npz"
    write_atomically(path, buffer.getvalue())
    for old in sorted(self.directory.glob("step-*.npz"))[:-2]:
      old.unlink()
    return path

  def restore(self, model: keras.Model) -> int:
    """Loads the newest whole checkpoint into a built, compiled model.

    Returns:
      Its step; 0 where there is none.

    Raises:
      RuntimeError: the newest readable checkpoint belongs to another model.
    """
    for path in sorted(self.directory.glob("step-*.npz"), reverse=True):
      try:
        with np.load(path) as file:
          values = {name: file[name] for name in file.files}
      except Exception as error:  # zipfile has many ways to say "damaged"
        print(f"skipping the damaged checkpoint {path}: {error}", file=sys.stderr)
        continue
      variables = named_state(model)
      if "arr_0" in values:  # written before variables had names, in this order
        values = dict(zip(variables, values.values()))
      if {name: v.shape for name, v in values.items()} != {
        name: tuple(v.shape) for name, v in variables.items()
      }:
        raise RuntimeError(
          f"{path} belongs to another model or optimizer"
          f"{_difference(values, variables)}; remove {self.directory} to start over"
        )
      for name, variable in variables.items():
        variable.assign(values[name])
      return int(path.stem.split("-")[1])
    return 0


def checkpoint_dir(settings: dict[str, Any], train_files: list[str]) -> Path:
  """One folder for each combination of configs and data, so none can mix.

  Args:
    settings: a Trainer's `custom_config`: configs as JSON, and the
      `checkpoint_dir` below which the folder is.
    train_files: whose content counts.
  """
  configs = [str(settings[key]) for key in sorted(settings) if key != "checkpoint_dir"]
  key = hashlib.sha256(
    "\n".join([*configs, *map(sha256_of, train_files)]).encode("utf-8")
  ).hexdigest()[:16]
  return Path(settings["checkpoint_dir"]) / key


def named_state(model: keras.Model) -> dict[str, Any]:
  """Every variable that decides the next step, by a name that any process gives it."""
  generators = [
    layer.seed_generator.state
    for layer in model._flatten_layers()
    if hasattr(layer, "seed_generator")
  ]
  variables: dict[str, Any] = {}
  for kind, members in (
    ("model", model.weights),
    ("optimizer", model.optimizer.variables),
    ("random", generators),
  ):
    for number, variable in enumerate(members):
      # Keras numbers models and generators through a process.
      name = variable.path.replace(f"{model.name}_", "").replace(f"{model.name}/", "")
      name = f"{kind}/{number if kind == 'random' else name}"
      while name in variables:
        name += "'"
      variables[name] = variable
  return variables


def _difference(values: dict[str, Any], variables: dict[str, Any]) -> str:
  """The first variable that is in one only, to be said in an error."""
  apart = sorted(set(values) ^ set(variables))
  return f" ({apart[0]})" if apart else ""


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
  """Saves every `every` steps and at the end."""

  def __init__(self, checkpoints: Checkpoints, window: int, every: int, steps: int):
    super().__init__()
    self.checkpoints, self.window, self.steps = checkpoints, window, steps
    self.every = max(1, round(every / window))

  def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
    step = (epoch + 1) * self.window
    if (epoch + 1) % self.every == 0 or step == self.steps:
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
