"""A trained detector as a SavedModel that anything that loads TensorFlow can run.

Signatures:

    detect_encoded  images string [b], each a whole JPEG, PNG, BMP or GIF file
    detect          images uint8 [b, h, w, 3], RGB
    all give        boxes_yxyx_px float32 [b, n, 4]: ymin, xmin, ymax, xmax in pixels
                      of the image as it came
                    scores float32 [b, n], falling
                    category_ids int64 [b, n], as the data set numbers them
                    num_detections int32 [b]: what lies behind it is zeros

A model of two stages has one more, `detect_of_proposals`: `detect` with max_proposals
int32 [], how many boxes the second stage looks at, if not as many as in training.

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
from hardmine.trainers.detection.exports.light_export import has_two_stages, write_light
from hardmine.trainers.detection.geometry import nms
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)

ENCODED = tf.TensorSpec([None], tf.string, name="images")
PIXELS = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
MAX_PROPOSALS = tf.TensorSpec([], tf.int32, name="max_proposals")
_ALL = tf.int32.max


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
  signatures: dict[str, Any] = {
    "serving_default": serving.detect_encoded,
    "detect_encoded": serving.detect_encoded,
    "detect": serving.detect,
  }
  if has_two_stages(model):
    signatures["detect_of_proposals"] = serving.detect_of_proposals
  saved_model.save(
    serving,
    signatures,
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
  """The functions; all sizes free but the number of detections."""

  def __init__(self, model: MetaArchitecture, categories: Categories):
    super().__init__()
    self.model = model
    self.category_ids = tf.constant([0, *categories.ids], tf.int64)
    inputs = tf.nest.map_structure(
      lambda one: tf.TensorSpec([None, *one.shape], one.dtype), self._prepared_spec()
    )
    # That all signatures call one function has it traced once.
    self._detections = tf.function(
      self._found, [inputs, tf.TensorSpec([None, 2], tf.int32), MAX_PROPOSALS]
    )

  @tf.function(input_signature=[ENCODED])
  def detect_encoded(self, images):
    spec = self._prepared_spec()
    if all(one.shape.is_fully_defined() for one in tf.nest.flatten(spec)):
      inputs, sizes = tf.map_fn(
        self._decoded,
        images,
        fn_output_signature=(spec, tf.TensorSpec([2], tf.int32)),
      )
      return self._detections(inputs, sizes, _ALL)

    # Pictures that become different sizes are no batch.
    def one_by_one(data):
      inputs, size = self._decoded(data)
      batch = tf.nest.map_structure(lambda one: one[tf.newaxis], inputs)
      found = self._detections(batch, size[tf.newaxis], _ALL)
      return {name: values[0] for name, values in found.items()}

    answers = self._detections.get_concrete_function().structured_outputs
    return tf.map_fn(
      one_by_one,
      images,
      fn_output_signature={
        name: tf.TensorSpec(one.shape[1:], one.dtype) for name, one in answers.items()
      },
    )

  @tf.function(input_signature=[PIXELS])
  def detect(self, images):
    return self._detections(self._prepared(images), _sizes(images), _ALL)

  @tf.function(input_signature=[PIXELS, MAX_PROPOSALS])
  def detect_of_proposals(self, images, max_proposals):
    return self._detections(self._prepared(images), _sizes(images), max_proposals)

  def _decoded(self, data):
    """What the network sees of an encoded picture, and its size."""
    pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    pixels = tf.ensure_shape(pixels, [None, None, 3])
    return self._prepared(pixels), tf.shape(pixels)[:2]

  def _prepared(self, pixels):
    return self.model.prepared(self.model.config, pixels)

  def _prepared_spec(self):
    return self.model.prepared_spec(self.model.config)

  def _found(self, inputs, sizes, max_proposals):
    """From a batch of inputs and int32 [b, 2] of the images' height and width."""
    if has_two_stages(self.model):
      boxes, scores = self._of_proposals(inputs, max_proposals)
      found = nms.detections(boxes, scores, self.model.config.postprocessing)
    else:
      found = self.model.detections(inputs)
    boxes, scores, labels, num = found
    height, width = tf.unstack(tf.cast(sizes, tf.float32), axis=-1)
    scale = tf.stack([height, width, height, width], axis=-1)
    return {
      "boxes_yxyx_px": boxes * scale[:, tf.newaxis],
      "scores": scores,
      "category_ids": tf.gather(self.category_ids, labels),
      "num_detections": num,
    }

  def _of_proposals(self, inputs, max_proposals):
    """`raw_detections` of so many: the first ones, as they come best first."""
    features, boxes, objectness = self.model.candidates(inputs)
    proposals, num = self.model.propose(boxes, objectness)
    num = tf.minimum(num, max_proposals)
    most = tf.maximum(tf.reduce_max(num), 1)  # of any image of the batch
    return self.model.classify(features, proposals[:, :most], num)


def _sizes(images):
  """int32 [b, 2] of the height and width of uint8 [b, h, w, 3]."""
  shape = tf.shape(images)
  return tf.broadcast_to(shape[1:3], tf.stack([shape[0], 2]))
