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
`assets.extra/detector.json` holds the config, the categories and the model's id.
"""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from hardmine.schemas.categories import Categories
from hardmine.trainers import saved_model
from hardmine.trainers.detection import box_coder, nms
from hardmine.trainers.detection.input_pipeline import resized
from hardmine.trainers.detection.meta_architectures.ssd import SSD, model_id

ENCODED = tf.TensorSpec([None], tf.string, name="images")
PIXELS = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")


def export_detector(
  model: SSD, categories: Categories, model_dir: str | os.PathLike, **facts: Any
) -> None:
  """Writes the SavedModel and its facts.

  Args:
    model: with weights.
    categories: what its labels mean.
    model_dir: a folder that does not exist yet or is empty.
    **facts: JSON values to record beside config and id, such as `training`.
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
      "model_id": model_id(model).hex(),
      **facts,
    },
  )


class _Serving(tf.Module):
  """The two functions; all sizes free but the number of detections."""

  def __init__(self, model: SSD, categories: Categories):
    super().__init__()
    self.model = model
    self.category_ids = tf.constant([0, *categories.ids], tf.int64)

  @tf.function(input_signature=[ENCODED])
  def detect_encoded(self, images):
    def prepared(data):
      pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
      pixels = tf.ensure_shape(pixels, [None, None, 3])
      return self._resized(pixels), tf.shape(pixels)[:2]

    side = self.model.config.resolution_px
    inputs, sizes = tf.map_fn(
      prepared,
      images,
      fn_output_signature=(
        tf.TensorSpec([side, side, 3], tf.float32),
        tf.TensorSpec([2], tf.int32),
      ),
    )
    return self._detections(inputs, sizes)

  @tf.function(input_signature=[PIXELS])
  def detect(self, images):
    shape = tf.shape(images)
    sizes = tf.broadcast_to(shape[1:3], tf.stack([shape[0], 2]))
    return self._detections(self._resized(images), sizes)

  def _resized(self, pixels):
    return resized(pixels, self.model.config.resolution_px)

  def _detections(self, inputs, sizes):
    """From float32 [b, R, R, 3] and int32 [b, 2] of true height and width."""
    boxes, scores = raw_detections(self.model, inputs)
    boxes, scores, labels, num = nms.detections(
      boxes, scores, self.model.config.postprocessing
    )
    height, width = tf.unstack(tf.cast(sizes, tf.float32), axis=-1)
    scale = tf.stack([height, width, height, width], axis=-1)
    return {
      "boxes_yxyx_px": boxes * scale[:, tf.newaxis],
      "scores": scores,
      "category_ids": tf.gather(self.category_ids, labels),
      "num_detections": num,
    }


def raw_detections(model: SSD, inputs: Any) -> tuple[Any, Any]:
  """Before suppression: boxes_yxyx_norm [b, N, 4] and scores [b, N, C] in [0, 1]."""
  outputs = model(inputs, training=False)
  logits = tf.cast(outputs["class_logits"], tf.float32)
  # Not `match`: AutoGraph cannot read it.
  if model.config.classification == "sigmoid":
    scores = tf.sigmoid(logits)
  else:
    scores = tf.nn.softmax(logits)
  boxes = box_coder.decode(
    tf.cast(outputs["box_codes"], tf.float32), model.anchors_yxyx_norm
  )
  return boxes, scores[:, :, 1:]
