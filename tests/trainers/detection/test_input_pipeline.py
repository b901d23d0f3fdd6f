"""What the network is given: the same from any step on, every box in its place."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.detector_config import KeptProportions, SSDConfig
from hardmine.trainers.detection.geometry.anchors import ssd_anchors
from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.detection.inputs import input_pipeline
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.training.targets import assign
from tests.trainers.detection.geometry import MAPS, config
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


def batches(images, first_step=0, num_images=24, **changed):
  return input_pipeline.training_batches(
    images, num_images, first_step=first_step, **{**SETTINGS, **changed}
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
  stock = input_pipeline.take_stock(held_out)
  assert stock == (6, 1, 0, 0, "")


def test_no_file_is_refused():
  with pytest.raises(ValueError, match="at least one TFRecord"):
    input_pipeline.read_images([])


def crowded(index, num):
  """A rectangle's image with that many boxes, the last of them crowds."""
  generator = np.random.default_rng(index)
  corners = generator.uniform(0, 0.7, (num, 2))
  boxes = np.concatenate([corners, corners + generator.uniform(0.1, 0.3, (num, 2))], 1)
  return dataclasses.replace(
    rectangle(index),
    boxes_yxyx_norm=boxes.astype(np.float32),
    labels=1 + np.arange(num) % 2,
    names=("red",) * num,
    is_crowd=np.arange(num) > num - 2,
    areas_px=np.ones(num, np.float32),
    category_ids=np.ones(num, np.int64),
    annotation_ids=np.arange(num),
  )


@pytest.fixture(scope="module")
def crowds(tmp_path_factory):
  """Images of 3, 50, 0 and 12 boxes."""
  path = tmp_path_factory.mktemp("crowds") / "crowds.gz"
  images = [crowded(index, num) for index, num in enumerate((3, 50, 0, 12))]
  write_records(path, map(serialize, images))
  return input_pipeline.read_images([path]), images


def shown(images, stock, least=2, limit=None, **changed):
  """{index: truth} of one pass."""
  (batch,) = batches(
    images, batch_size=4, max_boxes=stock.room(least, limit), box_limit=limit, **changed
  ).take(1)
  truth = {name: column.numpy() for name, column in batch[1].items()}
  return {
    int(index): {name: column[row] for name, column in truth.items()}
    for row, index in enumerate(truth["index"])
  }


def test_there_is_room_for_all_objects_whatever_the_setting(crowds):
  images, records = crowds
  stock = input_pipeline.take_stock(images)
  assert stock == (4, 50, 0, 0, "")
  assert stock.room(100, None) == 100  # what was there before, for the same batches
  found = shown(images, stock, augmented=None, num_images=4)
  for index, record in enumerate(records):
    labels = found[index]["labels"]
    np.testing.assert_array_equal(labels[labels > 0], record.labels)
    boxes = found[index]["boxes_yxyx_norm"][labels > 0]
    np.testing.assert_allclose(boxes, record.boxes_yxyx_norm)


def test_what_a_limit_cuts_is_counted_and_no_background(crowds):
  images, records = crowds
  limit = 8
  stock = input_pipeline.take_stock(images, limit)
  assert stock == (4, 50, 42 + 4, 2, "1.png")
  found = shown(images, stock, limit=limit, augmented=None, num_images=4)
  anchors = np.asarray(ssd_anchors(MAPS, config()))
  for index in (1, 3):
    truth, record = found[index], records[index]
    assert (truth["labels"] > 0).sum() == limit + 1
    np.testing.assert_array_equal(truth["labels"][:limit], record.labels[:limit])
    assert truth["is_crowd"][limit] == 1
    targets = assign(
      truth["boxes_yxyx_norm"][None],
      truth["labels"][None],
      anchors,
      config(),
      is_crowd=truth["is_crowd"][None],
    )
    overlaps = np.asarray(pairwise_iou(anchors, record.boxes_yxyx_norm[limit:]))
    answers = (overlaps >= 0.5).any(axis=1) & ~np.asarray(targets.positive)[0]
    assert answers.any()
    assert not np.asarray(targets.weights)[0, answers].any()
  assert (found[0]["labels"] > 0).sum() == 3
  assert not found[2]["labels"].any()


def test_a_limit_holds_behind_crops_too(crowds):
  images, _ = crowds
  stock = input_pipeline.take_stock(images, 5)
  for truth in shown(images, stock, limit=5, num_images=4).values():
    assert (truth["labels"] > 0).sum() <= 6


def test_objects_without_room_are_an_error_and_not_cut(crowds):
  images, _ = crowds
  with pytest.raises(tf.errors.InvalidArgumentError):
    list(batches(images, max_boxes=20, augmented=None, num_images=4).take(1))


@pytest.fixture(scope="module")
def tall_and_wide(tmp_path_factory):
  """Rectangles in images of four sizes."""
  path = tmp_path_factory.mktemp("sizes") / "sizes.gz"
  sizes = [(60, 80), (120, 60), (60, 90), (70, 60)]
  records = [rectangle(index, *size_px) for index, size_px in enumerate(sizes)]
  write_records(path, map(serialize, records))
  return input_pipeline.read_images([path]), records


def kept(pixels):
  """A picture in its proportions, its shorter side 64 pixels long."""
  size_px = tf.numpy_function(
    lambda shape: np.int32(KeptProportions(min_side_px=64).size_px(*shape.tolist())),
    [tf.shape(pixels)[:2]],
    tf.int32,
  )
  resized = tf.image.resize(pixels, tf.ensure_shape(size_px, [2]))
  return tf.ensure_shape(resized, [None, None, 3])


@pytest.mark.parametrize("training", [True, False])
def test_pictures_of_several_sizes_are_filled_up_and_boxes_stay_around_their_objects(
  tall_and_wide, training
):
  images, records = tall_and_wide
  if training:
    found = batches(images, num_images=4, prepared=kept, augmented=None)
  else:
    found = input_pipeline.validation_batches(
      images, prepared=kept, batch_size=4, max_boxes=3
    )
  assert found.element_spec[0].shape.as_list()[1:] == [None, None, 3]
  pixels, truth = next(iter(found.as_numpy_iterator()))
  assert set(truth) == {"boxes_yxyx_norm", "labels", "is_crowd", "index"}
  height, width = pixels.shape[1:3]
  assert (height, width) == (128, 96)  # of the tallest and of the widest
  for image, boxes, index in zip(pixels, truth["boxes_yxyx_norm"], truth["index"]):
    record = records[index]
    tall, wide = KeptProportions(min_side_px=64).size_px(
      record.height_px, record.width_px
    )
    assert image[:tall, :wide].any(axis=-1).mean() > 0.9
    assert not image[tall:].any()
    assert not image[:, wide:].any()
    expected = record.boxes_yxyx_norm[0] * [tall, wide, tall, wide]
    np.testing.assert_allclose(
      boxes[0] * [height, width, height, width], expected, rtol=1e-5
    )
    rows, columns = np.nonzero(image.max(axis=-1) > 150)
    around = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    np.testing.assert_allclose(around, expected, atol=1.5)
    assert not boxes[1:].any()
