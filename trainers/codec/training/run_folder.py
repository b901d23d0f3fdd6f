"""The folder of a training that goes on for days, and what each file in it is.

    RUN/
      run.json            the experiment and its settings, and when they changed
      patches/            what it trains on, mined once
      held_out/           photographs that it is scored on, copied once
      initial_weights     a file or an exported codec to start from, if there is one
      code/               what training imports of hardmine, as it was when it started,
                          and the modules of the user's own
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
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

import hardmine
from hardmine.schemas.class_names import trust_modules_in
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.files import naming, write_atomically
from hardmine.trainers.images import ImageError, decode_rgb

MAX_SCORED_PIXELS = 1_000_000
HALF_MADE = (  # names that only a killed process leaves
  *(".patches.staging-*", ".held_out.staging-*", ".code.*", "checkpoints/.step-*.tmp"),
  *(f".{name}.*.tmp" for name in ("run.json", "weights.npz", "index.html")),
)

# An experiment's own file, where a class of it is named, imports those that ship.
CODE_FOLDERS = ("schemas", "trainers", "pipelines/experiments")
# The code of a run was copied when it began, so `training_run` never moves. That of a
# run of version 0.1 has no folder `hardmine`.
_START = """
import sys
sys.path[:] = [sys.argv[1], *filter(None, sys.path)]  # not the current folder
import os, signal
def leave(*_):  # until the training listens itself: its imports take seconds
  os._exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
  if signal.getsignal(number) != signal.SIG_IGN:
    signal.signal(number, leave)
if os.path.isdir(os.path.join(sys.argv[1], "hardmine")):
  from hardmine.trainers.codec.training_run import main
else:
  from trainers.codec.training_run import main
sys.exit(main(sys.argv[2], int(sys.argv[3])))
"""
# What may change on the way: neither the network, nor what a checkpoint holds.
CHANGEABLE = (
  *(
    "steps",
    "cooldown_steps",
    "learning_rate",
    "clip_norm",
    "batch_size",
    "iterations",
  ),
  *("ms_ssim_weight", "log_loss", "early_weight", "augment", "product_dtype"),
  "strategy",
  *("checkpoint_steps", "summary_steps", "score_steps"),
)


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
    paths = sorted(p for p in self.held_out.iterdir() if not p.name.startswith("."))
    return [read_photograph(path) for path in paths]

  def experiment(self) -> CodecExperiment:
    """What is trained, as settings stand now."""
    settings = self._read_settings()
    trust_modules_in(self.code)  # where those of the user's own were copied to
    return CodecExperiment.from_json(json.dumps(settings["experiment"]))

  def begin(self, experiment: CodecExperiment) -> None:
    """Writes the settings of a run whose patches and photographs are there."""
    self._write_settings(
      {"experiment": json.loads(experiment.to_json()), "changes": []}
    )

  def change(self, assignments: list[str]) -> None:
    """Replaces settings of the training, and notes when and what.

    Raises:
      ValueError: a setting that would make it another model, other data, or one whose
        checkpoints do not fit.
    """
    for assignment in assignments:
      require(
        assignment.partition("=")[0].removeprefix("training.") in CHANGEABLE,
        "of a run that has begun only training."
        + ", ".join(CHANGEABLE)
        + " (copy the folder without checkpoints/ to try others)",
        set=assignment,
      )
    settings = self._read_settings()
    changed = self.experiment().override(assignments)
    settings["experiment"] = json.loads(changed.to_json())
    settings["changes"].append({"at": now(), "set": assignments})
    self._write_settings(settings)

  def copy_code(self, own: list[tuple[Path, str]]) -> None:
    """Makes `code/` a copy of the modules that training imports, as they lie now.

    Args:
      own: the user's among them, as `own_files` of the experiment gives them.
    """
    source = Path(hardmine.__file__).parent
    staged = self.directory / f".code.{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    for folder in CODE_FOLDERS:
      shutil.copytree(
        source / folder,
        staged / "hardmine" / folder,
        ignore=shutil.ignore_patterns("__pycache__", "pretrained"),
      )
    for package in (".", "pipelines"):
      shutil.copy(source / package / "__init__.py", staged / "hardmine" / package)
    for path, name in own:
      (staged / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copy(path, staged / name)
    before = staged.with_name(f"{staged.name}.before")
    if self.code.exists():
      os.rename(self.code, before)
    os.rename(staged, self.code)
    shutil.rmtree(before, ignore_errors=True)

  def command(self, nice: int = 19) -> list[str]:
    """The words of the process that trains the run, with the run's own code."""
    places = (str(path.resolve()) for path in (self.code, self.directory))
    return [sys.executable, "-c", _START, *places, str(nice)]

  def log(self, **facts: Any) -> None:
    """Appends one line, on a line of its own also behind one that was cut."""
    line = json.dumps({"at": now(), **facts}) + "\n"
    with naming(self._log), open(self._log, "ab+") as file:
      if file.tell():
        file.seek(-1, os.SEEK_END)
        line = line if file.read(1) == b"\n" else "\n" + line
      file.write(line.encode("utf-8"))

  def logged(self) -> list[dict[str, Any]]:
    """The lines about every step, in order of steps.

    What a kill made undone and was trained again is told by its later lines; what a
    full disk cut is left out.
    """
    if not self._log.is_file():
      return []
    lines: list[dict[str, Any]] = []
    for text in self._log.read_text("utf-8", errors="replace").splitlines():
      try:
        line = json.loads(text)
      except json.JSONDecodeError:
        continue
      place = (line["step"], "area" in line)  # a scoring follows its step's loss
      while lines and (lines[-1]["step"], "area" in lines[-1]) >= place:
        lines.pop()
      lines.append(line)
    return lines

  @contextlib.contextmanager
  def taken(self) -> Iterator[None]:
    """Holds the run for this process, and sweeps what a killed one left half made.

    Raises:
      RuntimeError: another process trains it.
    """
    self.directory.mkdir(parents=True, exist_ok=True)
    with open(self.directory / "lock", "a+", encoding="utf-8") as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        file.seek(0)
        raise RuntimeError(
          f"{self.directory} is being trained by process {file.read().strip() or '?'}; "
          f"`hardmine train {self.directory} --stop` ends that"
        ) from None
      file.truncate(0)
      file.write(str(os.getpid()))
      file.flush()
      for before in self.directory.glob(".code.*.before"):
        if not self.code.exists():  # killed between its two renames
          os.rename(before, self.code)
      for pattern in HALF_MADE:
        for left in self.directory.glob(pattern):
          shutil.rmtree(left) if left.is_dir() else left.unlink()
      try:
        yield
      finally:
        file.truncate(0)

  def trainer(self) -> int | None:
    """The process that trains the run now, or None."""
    path = self.directory / "lock"
    if not path.is_file():
      return None
    with open(path, "r+", encoding="utf-8") as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        return int(file.read() or 0) or None
    return None

  def _read_settings(self) -> dict[str, Any]:
    require(
      self.exists,
      "the folder of a training run, with run.json",
      run=str(self.directory),
    )
    return json.loads(self._settings.read_text("utf-8"))

  def _write_settings(self, settings: dict[str, Any]) -> None:
    write_atomically(self._settings, json.dumps(settings, indent=2) + "\n")


def read_photograph(path: str | os.PathLike) -> np.ndarray:
  """A photograph to score on, uint8 [h, w, 3].

  Raises:
    ValueError: no photograph, or one so large that scoring would stop the training
      for minutes.
  """
  try:
    return decode_rgb(Path(path).read_bytes(), MAX_SCORED_PIXELS)
  except ImageError as error:
    raise ValueError(f"{path}: {error}") from error


def now() -> str:
  """This second, in UTC."""
  return datetime.now(timezone.utc).isoformat(timespec="seconds")
