"""What the network is given: the same from any step on, every box in its place."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection import input_pipeline
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from tests.trainers.detection.rectangles import rectangle

PREPARED = functools.partial(
  SSD.prepared, SSDConfig(feature_extractor=object, resolution_px=64)
)
SETTINGS = {
  "prepared": PREPARED,
  "augmented": SSD.augmented,
  "batch_size": 4,
  "max_boxes": 3,
  "seed": 7,
}


@pytest.fixture(scope="module")
def images(rectangles):
  return input_pipeline.read_images(rectangles.glob("Split-train/*.gz"))


def batches(images, first_step=0, **changed):
  return input_pipeline.training_batches(
    images, 24, first_step=first_step, **{**SETTINGS, **changed}
  )


def test_batches_have_static_shapes(images):
  pixels, truth = batches(images).element_spec
  assert pixels.shape == (4, 64, 64, 3)
  assert truth["boxes_yxyx_norm"].shape == (4, 3, 4)
  assert truth["labels"].shape == truth["is_crowd"].shape == (4, 3)


def test_resuming_sees_what_it_would_have_seen(images):
  whole = list(batches(images).take(9).as_numpy_iterator())
  resumed = list(batches(images, first_step=7).take(2).as_numpy_iterator())
  for (pixels, truth), (again, truth_again) in zip(whole[7:], resumed):
    np.testing.assert_array_equal(pixels, again)
    for name in truth:
      np.testing.assert_array_equal(truth[name], truth_again[name])


def test_every_pass_shows_every_image_once(images):
  indices = [
    index
    for _, truth in batches(images).take(12).as_numpy_iterator()
    for index in truth["index"].tolist()
  ]
  assert sorted(indices[:24]) == sorted(indices[24:]) == list(range(24))
  assert indices[:24] != indices[24:]


def test_boxes_stay_around_their_objects(images):
  """Whatever is cropped and flipped, the middle of a box is bright."""
  seen = 0
  for pixels, truth in batches(images).take(12).as_numpy_iterator():
    for image, boxes, labels in zip(pixels, truth["boxes_yxyx_norm"], truth["labels"]):
      for (ymin, xmin, ymax, xmax), label in zip(boxes, labels):
        if label:
          middle = image[int((ymin + ymax) * 32), int((xmin + xmax) * 32)]
          assert middle.max() > 180
          assert middle.argmax() == (0 if label == 1 else 2)
          seen += 1
  assert seen > 24


def test_without_augmentation_an_image_is_as_it_is(images):
  pixels, truth = next(iter(batches(images, augmented=None).as_numpy_iterator()))
  for image, index, boxes in zip(pixels, truth["index"], truth["boxes_yxyx_norm"]):
    np.testing.assert_allclose(boxes[0], rectangle(int(index)).boxes_yxyx_norm[0])
    assert image.shape == (64, 64, 3)


def test_validation_covers_all_images_in_order(rectangles):
  held_out = input_pipeline.read_images(rectangles.glob("Split-eval/*.gz"))
  indices = [
    index
    for _, truth in input_pipeline.validation_batches(
      held_out, prepared=PREPARED, batch_size=4, max_boxes=3
    ).as_numpy_iterator()
    for index in truth["index"].tolist()
  ]
  assert indices == list(range(6))
  assert input_pipeline.count_images(held_out) == 6


def test_no_file_is_refused():
  with pytest.raises(ValueError, match="at least one TFRecord"):
    input_pipeline.read_images([])
