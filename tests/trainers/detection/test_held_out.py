"""What is measured while a detector trains, whatever its meta-architecture."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  SSDConfig,
)
from hardmine.trainers.detection import run_fn
from hardmine.trainers.detection.held_out import METRICS, HeldOut
from hardmine.trainers.detection.inputs import input_pipeline
from hardmine.trainers.detection.inputs.annotated_set import detected_boxes
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from tests.trainers.detection.rectangles import CATEGORIES, rectangle
from tests.trainers.detection.tiny_extractor import TinyExtractor

SIZES = [(60, 80), (110, 64), (64, 100)]
CONFIGS = [
  SSDConfig(feature_extractor=TinyExtractor, resolution_px=96),
  FasterRCNNConfig(
    feature_extractor=TinyExtractor,
    resizer=KeptProportions(min_side_px=64, max_side_px=96),
  ),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  """Images of several sizes."""
  path = tmp_path_factory.mktemp("held_out") / "images.gz"
  images = [rectangle(index, *size_px) for index, size_px in enumerate(SIZES)]
  write_records(path, map(serialize, images))
  return [str(path)]


@pytest.fixture(
  scope="module", params=CONFIGS, ids=[type(config).__name__ for config in CONFIGS]
)
def model(request):
  return meta_architecture(request.param)(request.param, len(CATEGORIES))


def test_any_model_is_measured_in_pixels_of_the_pictures(files, model):
  held_out = HeldOut(files, CATEGORIES)
  assert tuple(held_out.data.names) == ("0.png", "1.png", "2.png")
  numbers = held_out.measure(model)
  assert tuple(numbers) == METRICS
  assert all(0 <= value <= 1 for value in numbers.values())
  assert held_out.measure(model) == numbers
  assert len(HeldOut(files, CATEGORIES, max_images=2).data.names) == 2


def test_a_model_that_knows_all_is_perfect(files, model, monkeypatch):
  """Its detections are the truth: what is around it loses nothing."""
  held_out = HeldOut(files, CATEGORIES)
  truths = iter([rectangle(index, *size_px) for index, size_px in enumerate(SIZES)])

  def knows(inputs):
    truth = next(truths)
    return (
      truth.boxes_yxyx_norm[np.newaxis],
      np.ones((1, 1), np.float32),
      truth.labels[np.newaxis],
      np.ones(1, np.int32),
    )

  monkeypatch.setattr(held_out, "_model", model)
  monkeypatch.setattr(held_out, "_detect", lambda inputs: map(as_tensor, knows(inputs)))
  assert held_out.measure(model) == {"AP": 1.0, "AP50": 1.0}


def as_tensor(values):
  import tensorflow as tf

  return tf.constant(values)


def test_pictures_are_drawn_in_the_size_that_the_model_sees(files, model):
  drawn = run_fn.pictures(model, CATEGORIES, input_pipeline.read_images(files))
  assert drawn.dtype == np.uint8
  resizer = model.preparation(model.config) or model.config.resizer
  heights, widths = zip(*(resizer.size_px(*size_px) for size_px in SIZES))
  assert drawn.shape[0] >= sum(heights)
  assert drawn.shape[1] >= 2 * max(widths)


def test_what_the_images_cannot_have_is_counted():
  truth = HeldOutTruth()
  boxes, num_left_out = detected_boxes(
    truth,
    [
      (np.float32([[0, 0, 2, 3]]), np.float32([0.5]), np.array([3])),
      (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)),
      (np.float32([[0, 0, 2, 3]]), np.float32([0.5]), np.array([8])),
    ],
  )
  assert num_left_out == 1
  np.testing.assert_array_equal(boxes.image_ids, [7])
  np.testing.assert_array_equal(boxes.boxes_xywh_px, [[0, 0, 3, 2]])


class HeldOutTruth:
  """The two columns that are asked for."""

  image_ids = np.array([7, 9, 11])
  category_ids = np.array([3, 90])
