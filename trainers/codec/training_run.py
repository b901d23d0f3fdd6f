"""Trains a codec for as long as somebody lets it, at any time to be stopped.

TERM or INT writes a checkpoint and ends; the next start goes on with the weights,
the optimizer, the average, the random numbers and the place in the data as they were.
A kill loses at most `checkpoint_steps`, and what is trained again is the same.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from schemas.config import require
from schemas.experiment import CodecExperiment
from trainers.callbacks import Checkpoints
from trainers.codec import held_out, progress_page
from trainers.codec.export import export_codec, reconstructor
from trainers.codec.model import RecurrentCodec, build_codec
from trainers.codec.run_folder import RunFolder
from trainers.codec.training import compiled_codec
from trainers.codec.weights import load_weights, save_weights
from trainers.datasets import load_patches
from trainers.optimizers import averaged
from trainers.patch_feed import PatchFeed


def main(directory: str, nice: int = 19) -> int:
  """Trains the run in a folder to its last step, or to the first TERM."""
  os.nice(nice)
  folder = RunFolder(directory)
  with folder.taken():
    experiment = folder.experiment()
    stop = _Stop()
    patches = load_patches(sorted(folder.patches.glob("**/*.gz")))
    images = folder.photographs()
    print(f"{len(patches):,} patches, scored on {len(images)} photographs", flush=True)
    run = TrainingRun(folder, experiment, patches, images)
    run.train(stop)
    print(f"{'stopped' if stop else 'finished'} at step {run.step}", flush=True)
  return 0


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
  """True from the first TERM or INT on."""

  def __init__(self):
    self.asked = False
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
      signal.signal(number, self._ask)

  def _ask(self, *_: Any) -> None:
    self.asked = True

  def __bool__(self) -> bool:
    return self.asked


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
    self.feed = PatchFeed(patches, self.config.batch_size, self.config.seed)
    self._reconstruct = reconstructor(self.codec)

  def train(self, stop: Callable[[], bool] | Any = False) -> None:
    """Steps until the last one, or until `stop` is true after one.

    Raises:
      RuntimeError: the loss is not a number any more; the newest checkpoint is from
        before.
    """
    config, losses = self.config, []
    started, cpu = time.monotonic(), time.process_time()
    while self.step < config.steps and not stop:
      batch = self.feed.batch(self.step)
      losses.append(float(np.asarray(self.codec.train_on_batch(batch))))
      self.step += 1
      if not np.isfinite(losses[-1]):
        raise RuntimeError(
          f"the loss became {losses[-1]} at step {self.step}; lower it with --set "
          "training.learning_rate=..., and it goes on from the last checkpoint"
        )
      if self.step % config.summary_steps == 0:
        seconds = time.monotonic() - started
        facts = {
          "step": self.step,
          "loss": round(float(np.mean(losses)), 5),
          "learning_rate": float(np.asarray(self.codec.optimizer.learning_rate)),
          "seconds_per_step": round(seconds / len(losses), 4),
          "cpu_seconds_per_step": round((time.process_time() - cpu) / len(losses), 4),
        }
        self.folder.log(**facts)
        print("  ".join(f"{k} {v:.6g}" for k, v in facts.items()), flush=True)
        losses.clear()
        started, cpu = time.monotonic(), time.process_time()
      if self.step % config.checkpoint_steps == 0:
        self.checkpoints.save(self.codec, self.step)
      if self.step % config.score_steps == 0 or self.step == config.steps:
        self.score(stop)
        started, cpu = time.monotonic(), time.process_time()
    self.checkpoints.save(self.codec, self.step)

  def score(self, stop: Any = False) -> None:
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
    self.folder.log(
      step=self.step,
      area=round(held_out.area(mean), 5),
      ms_ssim=[round(float(value), 5) for value in mean],
    )
    progress_page.write(self.folder, *shown)
    print(
      f"step {self.step}: area {held_out.area(mean):.4f}, MS-SSIM {mean[0]:.4f} after "
      f"one iteration, {mean[-1]:.4f} after {len(mean)}",
      flush=True,
    )
