"""Sets that hold little to learn from: no object at all, one category, few anchors."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.detection.inputs import input_pipeline
from hardmine.trainers.detection.meta_architectures.faster_rcnn import FasterRCNN
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.run_fn import compiled_detector
from tests.trainers.detection.rectangles import rectangle, without_objects
from tests.trainers.detection.seeing import seeing
from tests.trainers.detection.tiny_extractor import TinyExtractor
from tests.trainers.detection.tiny_two_stages import CONFIGS, FASTER, batch, losses

ALL = {"ssd": SSDConfig(feature_extractor=TinyExtractor, resolution_px=96), **CONFIGS}
TRAINING = DetectorTrainingConfig(
  steps=60,
  batch_size=2,
  optimizer="adam",
  learning_rate=2e-3,
  batch_norm_momentum=0.9,
  summary_steps=20,
)
QUIET: Any = 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_set_without_any_object_is_background(name, tmp_path):
  """From its records on; SSD learns from as many negatives as positives ask for."""
  path = tmp_path / "images.gz"
  write_records(
    path, (serialize(without_objects(rectangle(index))) for index in range(4))
  )
  images, config = input_pipeline.read_images([str(path)]), ALL[name]
  stock = input_pipeline.take_stock(images)
  assert (stock.num_images, stock.most_objects) == (4, 0)
  kind = meta_architecture(config)
  batches = input_pipeline.training_batches(
    images,
    stock.num_images,
    prepared=functools.partial(kind.prepared, config),
    augmented=kind.augmented,
    batch_size=2,
    max_boxes=stock.room(1, None),
    seed=0,
    first_step=0,
  )
  model = compiled_detector(config, 2, TRAINING)
  history = model.fit(batches, epochs=2, steps_per_epoch=2, verbose=QUIET).history
  assert np.isfinite(history["loss"]).all()
  boxes = {part for part in kind.PARTS if "localization" in part}
  assert all(history[part] == [0, 0] for part in boxes)
  background = [value for part in set(kind.PARTS) - boxes for value in history[part]]
  assert all(value == 0 if name == "ssd" else value > 0 for value in background)
  assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_more_may_be_asked_for_than_there_are():
  """All are then learned from, divided by how many they are."""
  model = seeing(FasterRCNN(FASTER, 2))
  inputs, truth = batch(model)
  found = []
  for num in (144, 10_000):  # as many as there are anchors, and more
    every = {"batch_size": num, "positive_share": 1.0}
    first = dataclasses.replace(FASTER.proposals, **every)
    model.config = dataclasses.replace(FASTER, proposals=first, **every)
    found.append(losses(model, inputs, truth)[1])
  assert all(np.isfinite(value) for value in found[0].values())
  assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.slow
def test_two_stages_learn_one_category_alone():
  """Of two images, one of which holds nothing."""
  training = dataclasses.replace(TRAINING, learning_rate=1e-3, steps=120)
  model = compiled_detector(FASTER, 1, training)
  inputs, truth = batch(model)
  truth["labels"] *= [[1], [0]]
  data = tf.data.Dataset.from_tensors((inputs, truth)).repeat()
  history = model.fit(data, epochs=6, steps_per_epoch=20, verbose=QUIET).history
  assert history["classification"][-1] < history["classification"][0]
  assert history["classification"][-1] > 0
  boxes, scores, labels, _ = model.detections(inputs)
  overlap = pairwise_iou(boxes[:1, :1], truth["boxes_yxyx_norm"][:1])
  assert float(np.asarray(overlap).squeeze()) > 0.7
  assert float(scores[0, 0]) > 2 * float(scores[1, 0])
  assert int(labels[0, 0]) == 1
