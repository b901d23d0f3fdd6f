"""The Trainer's entry point: annotated images in, an exported detector out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hardmine.schemas.categories import Categories, read_categories
from hardmine.schemas.config import require
from hardmine.schemas.detector_config import DetectorConfig, detector_from_json
from hardmine.schemas.training_config import (
  AugmentationConfig,
  DetectorTrainingConfig,
)
from hardmine.trainers.callbacks import Summaries
from hardmine.trainers.checkpoints import Checkpoints, checkpoint_dir
from hardmine.trainers.datasets import matching_files
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.held_out import METRICS, HeldOut
from hardmine.trainers.detection.inputs import input_pipeline
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.results.drawing import ground_truth_beside_predictions
from hardmine.trainers.detection.training.initial_weights import begin_with
from hardmine.trainers.evaluations import Evaluations
from hardmine.trainers.images import decode_rgb
from hardmine.trainers.optimizers import averaged, compile_model, learning_rate
from hardmine.trainers.trainer_files import on_this_machine
from hardmine.trainers.training import train_model
from hardmine.trainers.workers.current import row_share, writes
from hardmine.trainers.workers.job import shared

NUM_PICTURES = 6  # images followed in TensorBoard
NUM_BOXES = 100  # true ones drawn of one image
NUM_VALIDATION_BATCHES = 16
MOMENTUM = 0.9
FEW_IMAGES = 2  # too few for batch statistics


def run_fn(fn_args: Any) -> None:
  """Trains and exports; called by TFX's Trainer.

  Args:
    fn_args: TFX's `FnArgs`. Of its `custom_config`, `detector` and `training` are
      the configs as JSON, and `checkpoint_dir` is a folder or URL that outlives the
      run, so that a killed one resumes. The folder of the examples holds
      `categories.json`.

  Raises:
    RuntimeError: no image to train on, or the loss is not a number any more.
  """
  settings = fn_args.custom_config
  strategy = DetectorTrainingConfig.from_json(settings["training"]).strategy
  with shared(fn_args, "detection", strategy, _say) as agreed:
    if agreed is not None:
      with on_this_machine(agreed) as here:
        _train_and_export(here)


def _train_and_export(fn_args: Any) -> None:
  settings = fn_args.custom_config
  config = detector_from_json(settings["detector"])
  architecture = meta_architecture(config)
  prepared = functools.partial(architecture.prepared, config)
  training = DetectorTrainingConfig.from_json(settings["training"])
  train_files = matching_files(fn_args.train_files)
  eval_files = matching_files(fn_args.eval_files)
  # Of the Examples artifact: its splits are folders, with the files inside.
  categories = read_categories(Path(train_files[0]).parents[1])
  images = input_pipeline.read_images(train_files)
  stock = input_pipeline.take_stock(images, training.box_limit)
  if not stock.num_images:
    raise RuntimeError("the split `train` holds no image")
  held_out = input_pipeline.read_images(eval_files or train_files)
  print("\n".join(stock_lines(stock, len(categories), training)))
  checkpoints = Checkpoints(checkpoint_dir(settings, train_files))
  evaluations = _evaluations(training, eval_files, categories, checkpoints)

  model = train_model(
    lambda: compiled_detector(config, len(categories), training),
    training,
    lambda step: input_pipeline.training_batches(
      images,
      stock.num_images,
      prepared=prepared,
      augmented=_augmented(architecture, training),
      batch_size=training.batch_size,
      max_boxes=stock.room(training.max_boxes, training.box_limit),
      seed=training.seed,
      first_step=step,
      box_limit=training.box_limit,
      rows=row_share(training.batch_size),
    ),
    checkpoints,
    callbacks=lambda model: [
      Summaries(
        fn_args.model_run_dir,
        training.summary_steps,
        training.steps // training.summary_steps,
        functools.partial(pictures, model, categories, held_out.take(NUM_PICTURES)),
        title="ground truth beside predictions",
      )
    ],
    validation=input_pipeline.validation_batches(
      held_out,
      prepared=prepared,
      batch_size=training.batch_size,
      max_boxes=input_pipeline.take_stock(held_out).room(training.max_boxes, None),
    ).take(NUM_VALIDATION_BATCHES),
    report=_say,
    suspects=lambda model: named_suspects(model, images),
    begin=lambda model: begin_with(model, categories, _say),
    evaluations=evaluations,
  )
  if not writes():
    return
  facts = {} if evaluations is None else _chosen(model, evaluations, training.keep)
  with averaged(model):
    export_detector(
      model,
      categories,
      fn_args.serving_model_dir,
      training=settings["training"],
      num_images=stock.num_images,
      **facts,
    )


def _evaluations(
  training: DetectorTrainingConfig,
  eval_files: list[str],
  categories: Categories,
  checkpoints: Checkpoints,
) -> Evaluations | None:
  """What is measured while a detector is trained, if anything is asked for."""
  if training.evaluate_steps is None:
    return None
  require(
    bool(eval_files),
    "held-out images, by which training.evaluate_steps measures; hold some back, or "
    "set it to null",
    eval_files=eval_files,
  )
  held_out = HeldOut(eval_files, categories, training.evaluate_images)
  return Evaluations(
    held_out.measure,
    METRICS[0],
    every=training.evaluate_steps,
    steps=training.steps,
    patience=training.patience,
    checkpoints=checkpoints,
    report=_say,
  )


def _chosen(
  model: MetaArchitecture, evaluations: Evaluations, keep: str
) -> dict[str, Any]:
  """Gives a trained model the weights that are to be exported, and says which."""
  last = max(evaluations.found)
  step = evaluations.best_step if keep == "best" else last
  if step != last:
    evaluations.checkpoints.restore(model, step)
  _say(f"exporting the weights of step {step}")
  return {"step": step, "held_out": evaluations.found[step]}


def _augmented(
  architecture: type[MetaArchitecture], training: DetectorTrainingConfig
) -> Any:
  """How training changes a picture; None where it does not."""
  if not training.augment:
    return None
  if training.augmentation == AugmentationConfig():
    return architecture.augmented  # which may know of no settings
  return functools.partial(architecture.augmented, settings=training.augmentation)


def _say(line: str) -> None:
  print(line, flush=True)


def stock_lines(
  stock: input_pipeline.Stock, num_categories: int, training: DetectorTrainingConfig
) -> list[str]:
  """What there is to learn, and what of it is left out."""
  lines = [
    f"training on {stock.num_images} images, {num_categories} categories, up to "
    f"{stock.most_objects} objects in one image"
  ]
  if stock.num_beyond:
    lines.append(
      f"{stock.num_beyond} objects of {stock.images_beyond} images are beyond "
      f"box_limit={training.box_limit}, the first in {stock.first_beyond}: "
      "neither learned nor taken for background"
    )
  if training.batch_norm == "train" and training.batch_size <= FEW_IMAGES:
    lines.append(
      f"batch normalisation learns from {training.batch_size} images at a time, which "
      "often trains well and detects badly: set training.batch_norm=freeze, or a "
      f"training.batch_size above {FEW_IMAGES}"
    )
  return lines


def compiled_detector(
  config: DetectorConfig, num_categories: int, training: DetectorTrainingConfig
) -> MetaArchitecture:
  """A new detector with its optimizer, ready for `fit` or a checkpoint."""
  model = meta_architecture(config).to_train(config, num_categories, training)
  average: dict[str, Any] = {
    "global_clipnorm": training.clip_norm,
    "use_ema": training.ema_decay is not None,
    "ema_momentum": training.ema_decay or 0.99,
  }
  rate = learning_rate(training)
  match training.optimizer:
    case "rmsprop":
      optimizer: Any = keras.optimizers.RMSprop(
        rate, name="rmsprop", rho=0.9, momentum=MOMENTUM, epsilon=1.0, **average
      )
    case "momentum":
      optimizer = keras.optimizers.SGD(rate, name="SGD", momentum=MOMENTUM, **average)
    case "adam":
      optimizer = keras.optimizers.Adam(rate, name="adam", **average)
  compile_model(model, optimizer, training)
  return model


def pictures(
  model: MetaArchitecture, categories: Categories, images: tf.data.Dataset
) -> np.ndarray:
  """Ground truth beside predictions, one image under the other, uint8 [h, w, 3].

  Each is drawn in the size that the detector sees it in.
  """
  names = dict(enumerate(categories.names, start=1))
  resizer = model.preparation(model.config)
  rows = []
  for image in images:
    pixels = decode_rgb(image["encoded"].numpy())
    inputs = model.prepared(model.config, pixels[np.newaxis])
    boxes, scores, labels, num = (
      tensor[0].numpy() for tensor in model.detections(inputs)
    )
    truth = image["boxes_yxyx_norm"].numpy().reshape(-1, 4)
    size_px = (
      pixels.shape[:2] if resizer is None else resizer.size_px(*pixels.shape[:2])
    )
    scale = np.array([*size_px, *size_px])
    shown = tf.image.resize(pixels, size_px).numpy()
    rows.append(
      ground_truth_beside_predictions(
        np.clip(np.round(shown), 0, 255).astype(np.uint8),
        truth_boxes_yxyx_px=scale * truth[:NUM_BOXES],
        truth_keys=image["labels"].numpy()[:NUM_BOXES],
        boxes_yxyx_px=scale * boxes[:num],
        keys=labels[:num],
        scores=scores[:num],
        names=names,
      )
    )
  widest = max(row.shape[1] for row in rows)
  return np.concatenate(
    [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0))) for row in rows]
  )


def named_suspects(model: MetaArchitecture, images: tf.data.Dataset) -> str:
  """The images of the first batch whose loss was not a number, by id and file."""
  wanted = {int(index) for index in np.asarray(model.suspects) if index >= 0}
  if not wanted:
    return ""
  found = [
    f"{image['source_id'].numpy().decode()} ({image['filename'].numpy().decode()})"
    for image in images
    if int(image["index"]) in wanted
  ]
  return f", first on the images {', '.join(found)}"
