"""The folder of a training that goes on for days, and what each file in it is.

    RUN/
      run.json            the experiment and its settings, and when they changed
      patches/            what it trains on, mined once
      held_out/           photographs that it is scored on, copied once
      initial_weights     a file or an exported codec to start from, if there is one
      code/               schemas/ and trainers/ as they were when it started
      checkpoints/        the two newest: weights, optimizer, average, random numbers
      log.jsonl           a line a window of steps, a line a scoring
      weights.npz         the average of the weights at the last scoring, float16
      index.html          the curve and a picture, redrawn at every scoring

Nothing in it refers to a place outside, so a copy of the folder goes on as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from schemas.config import require
from schemas.experiment import CodecExperiment
from schemas.manifest import write_atomically
from trainers.images import decode_rgb

CODE_FOLDERS = ("schemas", "trainers")


class RunFolder:
  """Paths and small files of one training run."""

  def __init__(self, directory: str | os.PathLike):
    self.directory = Path(directory)
    self.patches = self.directory / "patches"
    self.held_out = self.directory / "held_out"
    self.initial_weights = self.directory / "initial_weights"
    self.code = self.directory / "code"
    self.checkpoints = self.directory / "checkpoints"
    self.weights = self.directory / "weights.npz"
    self.page = self.directory / "index.html"
    self._settings = self.directory / "run.json"
    self._log = self.directory / "log.jsonl"

  @property
  def exists(self) -> bool:
    """Whether a run was begun here: its settings are written last."""
    return self._settings.is_file()

  def photographs(self) -> list[np.ndarray]:
    """What it is scored on, uint8 [h, w, 3] each."""
    paths = sorted(self.held_out.iterdir())
    return [decode_rgb(path.read_bytes()) for path in paths]

  def experiment(self) -> CodecExperiment:
    """What is trained, as settings stand now."""
    settings = self._read_settings()
    return CodecExperiment.from_json(json.dumps(settings["experiment"]))

  def begin(self, experiment: CodecExperiment) -> None:
    """Writes the settings of a run whose patches and photographs are there."""
    self._write_settings(
      {"experiment": json.loads(experiment.to_json()), "changes": []}
    )

  def change(self, assignments: list[str]) -> None:
    """Replaces settings of the training, and notes when and what.

    Raises:
      ValueError: a setting that would make it another model or other data.
    """
    for assignment in assignments:
      require(
        assignment.startswith("training."),
        "only settings of the training (training.KEY=VALUE) once a run has begun",
        set=assignment,
      )
    settings = self._read_settings()
    changed = self.experiment().override(assignments)
    settings["experiment"] = json.loads(changed.to_json())
    settings["changes"].append({"at": now(), "set": assignments})
    self._write_settings(settings)

  def copy_code(self, source: Path) -> None:
    """Makes `code/` a copy of the folders that training imports."""
    staged = self.directory / f".code.{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    for folder in CODE_FOLDERS:
      shutil.copytree(
        source / folder,
        staged / folder,
        ignore=shutil.ignore_patterns("__pycache__", "pretrained"),
      )
    shutil.rmtree(self.code, ignore_errors=True)
    os.rename(staged, self.code)

  def log(self, **facts: Any) -> None:
    """Appends one line."""
    with open(self._log, "a", encoding="utf-8") as file:
      file.write(json.dumps({"at": now(), **facts}) + "\n")

  def logged(self) -> list[dict[str, Any]]:
    """All whole lines, in order of time."""
    if not self._log.is_file():
      return []
    lines = self._log.read_text("utf-8").split("\n")[:-1]  # a kill may cut the last
    return [json.loads(line) for line in lines if line.endswith("}")]

  @contextlib.contextmanager
  def taken(self) -> Iterator[None]:
    """Holds the run for this process.

    Raises:
      RuntimeError: another process trains it.
    """
    with open(self.directory / "lock", "a+", encoding="utf-8") as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError:
        file.seek(0)
        raise RuntimeError(
          f"{self.directory} is being trained by process {file.read().strip() or '?'}; "
          "stop it with TERM first"
        ) from None
      file.truncate(0)
      file.write(str(os.getpid()))
      file.flush()
      yield

  def _read_settings(self) -> dict[str, Any]:
    require(
      self.exists,
      "the folder of a training run, with run.json",
      run=str(self.directory),
    )
    return json.loads(self._settings.read_text("utf-8"))

  def _write_settings(self, settings: dict[str, Any]) -> None:
    write_atomically(self._settings, json.dumps(settings, indent=2) + "\n")


def now() -> str:
  """This second, in UTC."""
  return datetime.now(timezone.utc).isoformat(timespec="seconds")
