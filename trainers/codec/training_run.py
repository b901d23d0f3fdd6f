"""Trains a codec for as long as somebody lets it, at any time to be stopped.

TERM or INT writes a checkpoint and ends; the next start goes on with the weights,
the optimizer, the average, the random numbers and the place in the data as they were.
A kill loses at most `checkpoint_steps`, and what is trained again is the same.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.streams import Streams
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.exports.export import export_codec, reconstructor
from hardmine.trainers.codec.network.model import RecurrentCodec, build_codec
from hardmine.trainers.codec.network.weights import load_weights, save_weights
from hardmine.trainers.codec.training import held_out, progress_page
from hardmine.trainers.codec.training.run_folder import RunFolder
from hardmine.trainers.codec.training.training import compiled_codec
from hardmine.trainers.datasets import load_patches
from hardmine.trainers.devices import device_scope
from hardmine.trainers.optimizers import averaged
from hardmine.trainers.patch_feed import PatchFeed


def main(directory: str, nice: int = 19) -> int:
  """Trains the run in a folder to its last step, or to the first TERM.

  Returns:
    The exit status: 0, 2 for what the caller can mend, 1 for what the world did; the
    last two with one line on stderr.
  """
  Streams()  # a terminal that was closed is no reason to lose a step
  os.nice(nice)
  try:
    with RunFolder(directory).taken():
      return _train(RunFolder(directory))
  except OSError as error:
    line = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return _complain(f"{line}; the same command goes on from the newest checkpoint", 1)
  except (ValueError, RuntimeError) as error:
    return _complain(str(error), 2 if isinstance(error, ValueError) else 1)


def _complain(message: str, status: int) -> int:
  print("hardmine:", " ".join(message.splitlines()), file=sys.stderr)
  return status


def _train(folder: RunFolder) -> int:
  experiment = folder.experiment()
  strategy = experiment.training.strategy
  require(
    strategy in ("auto", "cpu", "one_gpu"),
    "--set training.strategy=auto, as this is for one device; `hardmine run` trains on "
    "several",
    strategy=strategy,
  )
  stop = _Stop().listen()
  patches = load_patches(sorted(folder.patches.glob("**/*.gz")))
  images = folder.photographs()
  _say(f"{len(patches):,} patches, scored on {len(images)} photographs")
  with device_scope(strategy, _say, several=False):
    run = TrainingRun(folder, experiment, patches, images)
  run.train(stop)
  _say(f"{'stopped' if stop else 'finished'} at step {run.step}")
  return 0


def _say(line: str) -> None:
  print(line, flush=True)


def export(directory: str, model_dir: str) -> np.ndarray:
  """Exports the average weights of a run's last scoring, while it trains or not.

  Returns:
    Mean MS-SSIM on the held-out photographs by iteration, of what was exported.

  Raises:
    ValueError: the run has not been scored yet.
  """
  folder = RunFolder(directory)
  experiment = folder.experiment()
  require(
    folder.weights.is_file(),
    f"a run that was scored, every {experiment.training.score_steps} steps",
    run=directory,
  )
  codec = build_codec(experiment.codec, experiment.training.iterations)
  load_weights(folder.weights, codec)
  scores = held_out.ms_ssim_by_iteration(reconstructor(codec), folder.photographs())
  training = experiment.training.to_json()
  export_codec(codec, model_dir, training=training, **held_out.facts(scores))
  return scores


class _Stop:
  """True from the first TERM, INT or HUP on.

  Before the first step there is nothing to keep, and making the graph takes longer than
  anybody should wait: until `patient` is set, a signal ends the process at once.
  """

  def __init__(self):
    self.asked = self.patient = False

  def listen(self) -> _Stop:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
      if signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves HUP
        signal.signal(number, self._ask)
    return self

  def _ask(self, *_: Any) -> None:
    if not self.patient:
      _say("stopped before its first step")
      os._exit(0)
    self.asked = True

  def __bool__(self) -> bool:
    return self.asked


class _Window:
  """What a line of the log says about some steps."""

  def __init__(self, codec: RecurrentCodec):
    codec.reset_metrics()  # Keras reports the mean since then
    self.loss, self.steps = np.nan, 0
    self._started, self._cpu = time.monotonic(), time.process_time()

  def facts(self) -> dict[str, float]:
    seconds = time.monotonic() - self._started
    cpu_seconds = time.process_time() - self._cpu
    return {
      "loss": round(self.loss, 5),
      "seconds_per_step": round(seconds / self.steps, 4),
      "cpu_seconds_per_step": round(cpu_seconds / self.steps, 4),
    }


class TrainingRun:
  """A codec on its way.

  Args:
    folder: keeps everything.
    experiment: `codec` and `training` count.
    patches: uint8 [n, side, side, 3].
    images: uint8 [h, w, 3] each, to score on; not among those that were mined.

  Attributes:
    step: optimizer steps done.
  """

  def __init__(
    self,
    folder: RunFolder,
    experiment: CodecExperiment,
    patches: np.ndarray,
    images: list[np.ndarray],
  ):
    self.folder, self.config, self.images = folder, experiment.training, images
    self.codec: RecurrentCodec = compiled_codec(experiment.codec, experiment.training)
    self.checkpoints = Checkpoints(folder.checkpoints)
    self.step = self.checkpoints.restore(self.codec)
    if not self.step and folder.initial_weights.exists():
      load_weights(folder.initial_weights, self.codec)
    self.feed = PatchFeed(
      patches, self.config.batch_size, self.config.seed, self.config.augment
    )
    self._reconstruct = reconstructor(self.codec)

  def train(self, stop: _Stop | None = None) -> None:
    """Steps until the last one, or until `stop` has become true.

    Raises:
      RuntimeError: the loss is not a number any more; the newest checkpoint is from
        before.
    """
    stop = _Stop() if stop is None else stop
    config = self.config
    if self._is_due() and all(
      line["step"] != self.step for line in self.folder.logged() if "area" in line
    ):
      self.score(stop)  # which a stop or a kill prevented
    window = _Window(self.codec)
    while self.step < config.steps and not stop:
      batch = self.feed.batch(self.step)
      window.loss = float(np.asarray(self.codec.train_on_batch(batch)))
      window.steps += 1
      self.step += 1
      stop.patient = True
      if not np.isfinite(window.loss):
        raise RuntimeError(
          f"the loss became {window.loss} at step {self.step}; go on from the "
          "last checkpoint with a lower rate, --set training.learning_rate=..."
        )
      if self.step % config.summary_steps == 0:
        self._tell(window.facts())
        window = _Window(self.codec)
      if self.step % config.checkpoint_steps == 0:
        self.checkpoints.save(self.codec, self.step)
      if self._is_due():
        self.score(stop)
        window = _Window(self.codec)
    self.checkpoints.save(self.codec, self.step)

  def _is_due(self) -> bool:
    """Whether this step is one after which the run is scored."""
    last = self.step == self.config.steps
    return self.step > 0 and (last or self.step % self.config.score_steps == 0)

  def _tell(self, facts: dict[str, float]) -> None:
    rate = float(np.asarray(self.codec.optimizer.learning_rate))
    facts = {"step": self.step, "learning_rate": rate, **facts}
    self.folder.log(**facts)
    _say("  ".join(f"{name} {value:.6g}" for name, value in facts.items()))

  def score(self, stop: _Stop) -> None:
    """Scores the average weights, keeps them, and redraws the page; or stops early."""
    with averaged(self.codec):
      scores, shown = [], None
      for image in self.images:
        if stop:
          return
        pictures = self._reconstruct(image)
        scores.append(held_out.ms_ssim_by_iteration(lambda _, p=pictures: p, [image]))
        shown = (image, pictures) if shown is None else shown
      if shown is None:
        return
      mean = np.mean(scores, axis=0)
      save_weights(self.folder.weights, self.codec, dtype="float16")
    area = held_out.area(mean, self.codec.config.bpp_per_iteration)
    self.folder.log(
      step=self.step,
      area=round(area, 5),
      ms_ssim=[round(float(value), 5) for value in mean],
    )
    progress_page.write(self.folder, *shown)
    _say(
      f"step {self.step}: area {area:.4f}, MS-SSIM {mean[0]:.4f} after "
      f"one iteration, {mean[-1]:.4f} after {len(mean)}"
    )
