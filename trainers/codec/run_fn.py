"""The Trainer's entry point: mined patches in, an exported codec out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.callbacks import Summaries
from hardmine.trainers.checkpoints import Checkpoints, checkpoint_dir
from hardmine.trainers.codec.entropy.context_model import keep_entropy_model
from hardmine.trainers.codec.exports.export import export_codec, reconstructor
from hardmine.trainers.codec.training import held_out
from hardmine.trainers.codec.training.training import contact_sheet, train
from hardmine.trainers.datasets import (
  load_patches,
  matching_files,
  normalize,
  read_patches,
  training_batches,
)
from hardmine.trainers.optimizers import averaged
from hardmine.trainers.patch_feed import PatchFeed
from hardmine.trainers.trainer_files import on_this_machine
from hardmine.trainers.workers.current import row_share, writes
from hardmine.trainers.workers.job import shared

NUM_PICTURES = 8  # patches followed in TensorBoard
NUM_JUDGED = 64  # held-out patches on which every iteration must help
NUM_VALIDATION_BATCHES = 8


def run_fn(fn_args: Any) -> None:
  """Trains and exports; called by TFX's Trainer.

  Args:
    fn_args: TFX's `FnArgs`. Of its `custom_config`, `codec` and `training` are
      the configs as JSON, and `checkpoint_dir` is a folder or URL that outlives
      the run, so that a killed one resumes. `entropy_images` are the paths or URLs
      of the photographs that `training.entropy` is fitted to.

  Raises:
    RuntimeError: no patch to train on, or the loss is not a number any more.
  """
  strategy = CodecTrainingConfig.from_json(fn_args.custom_config["training"]).strategy
  with shared(fn_args, "codec", strategy, _say) as agreed:
    if agreed is not None:
      with on_this_machine(agreed) as here:
        _train_and_export(here)


def _train_and_export(fn_args: Any) -> None:
  settings = fn_args.custom_config
  codec_config = CodecConfig.from_json(settings["codec"])
  config = CodecTrainingConfig.from_json(settings["training"])
  train_files = matching_files(fn_args.train_files)
  eval_files = matching_files(fn_args.eval_files)

  patches = read_patches(train_files)
  num_patches = sum(batch.shape[0] for batch in patches.batch(1024))
  if not num_patches:
    raise RuntimeError("the mined set holds no patch; mine more photographs")
  eval_patches = read_patches(eval_files or train_files)
  eval_images = eval_patches.map(normalize)
  pictures = np.stack(list(eval_images.take(NUM_PICTURES).as_numpy_iterator()))
  validation = eval_images.batch(config.batch_size).take(NUM_VALIDATION_BATCHES).cache()
  print(f"training on {num_patches} patches")

  codec = train(
    codec_config,
    config,
    functools.partial(
      PatchFeed(load_patches(train_files), config.batch_size, config.seed).batches,
      rows=row_share(config.batch_size),
    )
    if config.augment
    else functools.partial(
      training_batches,
      patches,
      num_patches,
      config.batch_size,
      config.seed,
      rows=row_share(config.batch_size),
    ),
    Checkpoints(checkpoint_dir(settings, train_files)),
    callbacks=lambda codec: [
      Summaries(
        fn_args.model_run_dir,
        config.summary_steps,
        config.steps // config.summary_steps,
        lambda: contact_sheet(codec, pictures),
      )
    ],
    validation=validation,
    report=_say,
  )
  if not writes():
    return
  with averaged(codec):
    facts = {}
    if eval_files:  # else nothing was held out that could judge
      judged = _spread(load_patches(eval_files), NUM_JUDGED)
      scores = held_out.ms_ssim_by_iteration(reconstructor(codec), judged)
      print(f"held-out MS-SSIM by iteration {np.round(scores, 4).tolist()}")
      facts = held_out.facts(scores)
    export_codec(
      codec,
      fn_args.serving_model_dir,
      training=settings["training"],
      num_patches=num_patches,
      **facts,
    )
  if config.entropy is not None:
    from hardmine.trainers.codec.entropy_fitting.fitted_export import add_entropy_model

    paths = settings["entropy_images"]
    add_entropy_model(fn_args.serving_model_dir, paths, config.entropy, _say)
  elif config.initial_weights is not None:
    keep_entropy_model(config.initial_weights, fn_args.serving_model_dir)


def _say(line: str) -> None:
  print(line, flush=True)


def _spread(patches: np.ndarray, count: int) -> list[np.ndarray]:
  """Up to `count` of them, evenly over all: neighbours are of one photograph."""
  places = np.linspace(0, len(patches) - 1, min(count, len(patches)))
  return list(patches[np.unique(places.astype(int))])
