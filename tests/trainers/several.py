"""A training as one of several processes: `-m tests.trainers.several KIND FOLDER`.

KIND is `codec`, `recipe`, `ssd` or `frozen`. What a process does is told by its
environment: TF_CONFIG, NUM_DEVICES (virtual ones, then the strategy is `mirrored`),
KILL_AT (a step before which it kills itself), PATIENCE (a detector that never finds
anything is measured every four steps, and ends behind so many measurements more) and
EXPORTS (0 where nobody looks at the model, which takes as long as the training). The
losses of the steps go to FOLDER/losses.json, the model's weights to FOLDER/weights.npz.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import types
from pathlib import Path

import numpy as np

STEPS = int(os.environ.get("NUM_STEPS", 20))


def main(kind: str, folder: Path) -> None:
  """Trains, and writes what it saw."""
  import tensorflow as tf

  num_devices = int(os.environ.get("NUM_DEVICES", 1))
  if num_devices > 1:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices
    )
  strategy = "multiworker" if "TF_CONFIG" in os.environ else "auto"
  if num_devices > 1:
    strategy = "mirrored"
  common = {
    "steps": STEPS,
    "batch_size": 4,
    "summary_steps": 1,
    "checkpoint_steps": 4,
    "strategy": strategy,
  }
  if kind in ("codec", "recipe"):
    run_fn, settings = codec(kind, common)
  else:
    run_fn, settings = detector(kind, common)
  watch(run_fn, folder)
  run_fn.run_fn(
    types.SimpleNamespace(
      train_files=[str(folder.parent / "data" / kind / "Split-train" / "*.gz")],
      eval_files=[str(folder.parent / "data" / kind / "Split-eval" / "*.gz")],
      serving_model_dir=str(folder / "model"),
      model_run_dir=str(folder / "logs"),
      custom_config={**settings, "checkpoint_dir": str(folder / "checkpoints")},
    )
  )


def train(kind: str, folder: Path, environment: dict[str, str], log: Path) -> None:
  """`main` in a process that was forked, with an environment and a log of its own."""
  gc.freeze()  # what was imported is no garbage, and need not be looked through
  os.environ.update(environment)
  file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  os.dup2(file, 1)
  os.dup2(file, 2)
  main(kind, folder)


def codec(kind, common):
  """The module that trains, and its settings."""
  from hardmine.schemas.codec_config import CodecConfig
  from hardmine.schemas.training_config import CodecTrainingConfig
  from hardmine.trainers.codec import run_fn
  from hardmine.trainers.codec.cells.gru import ConvGRUCell

  recipe = {"ms_ssim_weight": 1.0, "log_loss": True, "augment": True, "ema_decay": 0.9}
  config = CodecTrainingConfig(
    **common,
    iterations=2,
    learning_rate=1e-3,
    clip_norm=0.5,
    **(recipe if kind == "recipe" else {}),
  )
  codec_config = CodecConfig(cell=ConvGRUCell, width=1 / 16)
  return run_fn, {"codec": codec_config.to_json(), "training": config.to_json()}


def detector(kind, common):
  """The module that trains, and its settings."""
  from hardmine.schemas.detector_config import PostprocessingConfig, SSDConfig
  from hardmine.schemas.training_config import DetectorTrainingConfig
  from hardmine.trainers.detection import run_fn
  from tests.trainers.detection.tiny_extractor import TinyExtractor

  patience = int(os.environ.get("PATIENCE", 0))
  config = DetectorTrainingConfig(
    **common,
    optimizer="momentum",
    learning_rate=1e-3,
    clip_norm=1.0,
    batch_norm_momentum=0.9,
    batch_norm="freeze" if kind == "frozen" else "train",
    max_boxes=4,
    **({"evaluate_steps": 4, "keep": "best", "patience": patience} if patience else {}),
  )
  ssd = SSDConfig(
    feature_extractor=TinyExtractor,
    resolution_px=96,
    postprocessing=PostprocessingConfig(score_threshold=1.0 if patience else 1e-2),
  )
  return run_fn, {"detector": ssd.to_json(), "training": config.to_json()}


def watch(run_fn, folder: Path) -> None:
  """Has the training write its losses and weights, and kill itself where it should."""
  import keras

  from hardmine.trainers import training
  from hardmine.trainers.checkpoints import named_state

  losses, kill_at = [], int(os.environ.get("KILL_AT", -1))

  class Watch(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
      if self.epoch == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
      self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
      losses.append(logs["loss"])

  fit = training._fit

  def watched(model, config, batches, step, team, callbacks, validation):
    fit(model, config, batches, step, team, [*callbacks, Watch()], validation)
    if os.environ.get("EXPORTS") == "0":
      run_fn.writes = lambda: False
    folder.mkdir(exist_ok=True)
    rank = "" if team is None or team.is_chief else f"-{team.rank}"
    (folder / f"losses{rank}.json").write_text(json.dumps(losses))
    values = {name: np.asarray(v) for name, v in named_state(model).items()}
    np.savez(folder / f"weights{rank}.npz", **values)

  training._fit = watched


if __name__ == "__main__":
  main(sys.argv[1], Path(sys.argv[2]))
