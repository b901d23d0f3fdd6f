"""The Trainer's entry point: annotated images in, an exported detector out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hardmine.schemas.categories import Categories, read_categories
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.callbacks import Summaries
from hardmine.trainers.checkpoints import Checkpoints, checkpoint_dir
from hardmine.trainers.datasets import matching_files
from hardmine.trainers.detection import input_pipeline
from hardmine.trainers.detection.drawing import ground_truth_beside_predictions
from hardmine.trainers.detection.export import export_detector, raw_detections
from hardmine.trainers.detection.meta_architectures.ssd import SSD, ssd
from hardmine.trainers.detection.nms import detections
from hardmine.trainers.optimizers import averaged, compile_model, learning_rate
from hardmine.trainers.training import train_model

NUM_PICTURES = 6  # images followed in TensorBoard
NUM_VALIDATION_BATCHES = 16
MOMENTUM = 0.9


def run_fn(fn_args: Any) -> None:
  """Trains and exports; called by TFX's Trainer.

  Args:
    fn_args: TFX's `FnArgs`. Of its `custom_config`, `detector` and `training` are
      the configs as JSON, and `checkpoint_dir` is a folder that outlives the run,
      so that a killed one resumes. The folder of the examples holds
      `categories.json`.

  Raises:
    RuntimeError: no image to train on, or the loss is not a number any more.
  """
  settings = fn_args.custom_config
  config = SSDConfig.from_json(settings["detector"])
  training = DetectorTrainingConfig.from_json(settings["training"])
  train_files = matching_files(fn_args.train_files)
  eval_files = matching_files(fn_args.eval_files)
  # Of the Examples artifact: its splits are folders, with the files inside.
  categories = read_categories(Path(train_files[0]).parents[1])
  images = input_pipeline.read_images(train_files)
  num_images = input_pipeline.count_images(images)
  if not num_images:
    raise RuntimeError("the split `train` holds no image")
  held_out = input_pipeline.read_images(eval_files or train_files)
  print(f"training on {num_images} images, {len(categories)} categories")

  model = train_model(
    lambda: compiled_ssd(config, len(categories), training),
    training,
    lambda step: input_pipeline.training_batches(
      images,
      num_images,
      resolution_px=config.resolution_px,
      batch_size=training.batch_size,
      max_boxes=training.max_boxes,
      augment=training.augment,
      seed=training.seed,
      first_step=step,
    ),
    Checkpoints(checkpoint_dir(settings, train_files)),
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
      resolution_px=config.resolution_px,
      batch_size=training.batch_size,
      max_boxes=training.max_boxes,
    ).take(NUM_VALIDATION_BATCHES),
    report=functools.partial(print, flush=True),
    suspects=lambda model: named_suspects(model, images),
  )
  with averaged(model):
    export_detector(
      model,
      categories,
      fn_args.serving_model_dir,
      training=settings["training"],
      num_images=num_images,
    )


def compiled_ssd(
  config: SSDConfig, num_categories: int, training: DetectorTrainingConfig
) -> SSD:
  """A new detector with its optimizer, ready for `fit` or a checkpoint."""
  model = ssd(config, num_categories, training)
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


def pictures(model: SSD, categories: Categories, images: tf.data.Dataset) -> np.ndarray:
  """Ground truth beside predictions, one image under the other, uint8 [h, w, 3]."""
  side = model.config.resolution_px
  names = dict(enumerate(categories.names, start=1))
  rows = []
  for pixels, truth in input_pipeline.validation_batches(
    images, resolution_px=side, batch_size=1, max_boxes=100
  ):
    boxes, scores, labels, num = (
      tensor[0].numpy()
      for tensor in detections(
        *raw_detections(model, pixels), model.config.postprocessing
      )
    )
    true_labels = truth["labels"][0].numpy()
    rows.append(
      ground_truth_beside_predictions(
        np.clip(np.round(pixels[0].numpy()), 0, 255).astype(np.uint8),
        truth_boxes_yxyx_px=side * truth["boxes_yxyx_norm"][0].numpy()[true_labels > 0],
        truth_keys=true_labels[true_labels > 0],
        boxes_yxyx_px=side * boxes[:num],
        keys=labels[:num],
        scores=scores[:num],
        names=names,
      )
    )
  return np.concatenate(rows)


def named_suspects(model: SSD, images: tf.data.Dataset) -> str:
  """The images of the first batch whose loss was not a number, by their ids."""
  wanted = {int(index) for index in np.asarray(model.suspects) if index >= 0}
  if not wanted:
    return ""
  found = [
    image["source_id"].numpy().decode()
    for image in images
    if int(image["index"]) in wanted
  ]
  return f", first on the images {', '.join(found)}"
