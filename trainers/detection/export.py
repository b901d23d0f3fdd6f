"""A trained detector as a SavedModel that anything that loads TensorFlow can run.

Signatures:

    detect_encoded  images string [b], each a whole JPEG, PNG, BMP or GIF file
    detect          images uint8 [b, h, w, 3], RGB
    both give       boxes_yxyx_px float32 [b, n, 4]: ymin, xmin, ymax, xmax in pixels
                      of the image as it came
                    scores float32 [b, n], falling
                    category_ids int64 [b, n], as the data set numbers them
                    num_detections int32 [b]: what lies behind it is zeros

`serving_default` is `detect_encoded`. It takes pixels as they are stored: EXIF
orientation is the caller's business (`Detector` minds it). Beside the graph,
`assets.extra/detector.json` holds the config, the categories and the model's id, and
`assets.extra/light/` what runs without TensorFlow (`light_export`).
"""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from hardmine.schemas.categories import Categories
from hardmine.trainers import saved_model
from hardmine.trainers.detection.light_export import write_light
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)

ENCODED = tf.TensorSpec([None], tf.string, name="images")
PIXELS = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")


def export_detector(
  model: MetaArchitecture,
  categories: Categories,
  model_dir: str | os.PathLike,
  **facts: Any,
) -> None:
  """Writes the SavedModel, its light form and its facts.

  Args:
    model: with weights.
    categories: what its labels mean.
    model_dir: a folder that does not exist yet or is empty.
    **facts: JSON values to record beside config and id, such as `training`.

  Raises:
    RuntimeError: the light form does not answer as the model does.
  """
  serving = _Serving(model, categories)
  saved_model.save(
    serving,
    {
      "serving_default": serving.detect_encoded,
      "detect_encoded": serving.detect_encoded,
      "detect": serving.detect,
    },
    model_dir,
    "detector",
    {
      "config": json.loads(model.config.to_json()),
      "categories": json.loads(categories.to_json())["categories"],
      "model_id": model.model_id().hex(),
      **facts,
    },
    lambda: write_light(model, model_dir),
  )


class _Serving(tf.Module):
  """The two functions; all sizes free but the number of detections."""

  def __init__(self, model: MetaArchitecture, categories: Categories):
    super().__init__()
    self.model = model
    self.category_ids = tf.constant([0, *categories.ids], tf.int64)

  @tf.function(input_signature=[ENCODED])
  def detect_encoded(self, images):
    def prepared(data):
      pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
      pixels = tf.ensure_shape(pixels, [None, None, 3])
      return self._prepared(pixels), tf.shape(pixels)[:2]

    inputs, sizes = tf.map_fn(
      prepared,
      images,
      fn_output_signature=(self._prepared_spec(), tf.TensorSpec([2], tf.int32)),
    )
    return self._detections(inputs, sizes)

  @tf.function(input_signature=[PIXELS])
  def detect(self, images):
    shape = tf.shape(images)
    sizes = tf.broadcast_to(shape[1:3], tf.stack([shape[0], 2]))
    return self._detections(self._prepared(images), sizes)

  def _prepared(self, pixels):
    return self.model.prepared(self.model.config, pixels)

  def _prepared_spec(self):
    return self.model.prepared_spec(self.model.config)

  def _detections(self, inputs, sizes):
    """From a batch of inputs and int32 [b, 2] of the images' height and width."""
    boxes, scores, labels, num = self.model.detections(inputs)
    height, width = tf.unstack(tf.cast(sizes, tf.float32), axis=-1)
    scale = tf.stack([height, width, height, width], axis=-1)
    return {
      "boxes_yxyx_px": boxes * scale[:, tf.newaxis],
      "scores": scores,
      "category_ids": tf.gather(self.category_ids, labels),
      "num_detections": num,
    }
