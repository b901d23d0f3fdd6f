"""Crops and flips: laws that hold for every seed."""

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.augmentation import (
  AREA,
  ASPECT_RATIO,
  crop_window,
  random_flip,
  ssd_augment,
)

HEIGHT, WIDTH = 48, 64
BOXES = np.float32([[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 0.9, 0.95], [0.0, 0.0, 1.0, 1.0]])
LABELS = np.array([4, 5, 6])
IS_CROWD = np.array([0, 0, 1])
# Every pixel says where it is.
IMAGE = np.stack(
  [*np.mgrid[:HEIGHT, :WIDTH], np.zeros((HEIGHT, WIDTH))], axis=-1
).astype("uint8")


def seeds(number):
  return tf.stack([tf.constant(11, tf.int64), tf.cast(number, tf.int64)])


@pytest.fixture(scope="module")
def windows():
  """400 windows and what they show, as lists of NumPy arrays."""
  drawn = tf.data.Dataset.range(400).map(
    lambda number: crop_window(
      BOXES, LABELS, IS_CROWD, [HEIGHT, WIDTH, 3], seeds(number)
    )
  )
  return [tuple(map(np.asarray, one)) for one in drawn.as_numpy_iterator()]


def test_windows_lie_in_the_image_with_the_areas_and_ratios_asked_for(windows):
  whole = 0
  for (y, x, height, width), *_ in windows:
    assert y >= 0
    assert x >= 0
    assert height > 0
    assert width > 0
    assert y + height <= HEIGHT
    assert x + width <= WIDTH
    whole += (height, width) == (HEIGHT, WIDTH)
    # whole pixels allow for one more or less
    assert (width - 1) / (height + 1) <= ASPECT_RATIO[1]
    assert (width + 1) / (height - 1) >= ASPECT_RATIO[0]
    assert (height + 1) * (width + 1) >= AREA[0] * HEIGHT * WIDTH
  # 0.15 by choice; the standard error of 400 draws is 0.018
  assert 0.09 < whole / len(windows) < 0.22


def test_boxes_stay_inside_and_where_they_were(windows):
  sizes = np.float32([HEIGHT, WIDTH, HEIGHT, WIDTH])
  for window, boxes, labels, is_crowd in windows:
    assert len(boxes) == len(labels) == len(is_crowd)
    assert np.all((boxes >= 0) & (boxes <= 1))
    assert np.all(boxes[:, 2:] > boxes[:, :2])
    origin, scale = np.tile(window[:2], 2), np.tile(window[2:], 2)
    corners = np.concatenate([window[:2], window[:2] + window[2:]])
    for box, label, crowd in zip(boxes, labels, is_crowd):
      truth = sizes * BOXES[label - 4]
      expected = np.concatenate(
        [np.maximum(truth[:2], corners[:2]), np.minimum(truth[2:], corners[2:])]
      )
      np.testing.assert_allclose(box * scale + origin, expected, atol=1e-3)
      assert crowd == (label == 6)


def test_an_untouched_image_keeps_its_boxes(windows):
  untouched = [one for one in windows if one[0].tolist() == [0, 0, HEIGHT, WIDTH]]
  assert untouched
  for _, boxes, labels, _ in untouched:
    np.testing.assert_allclose(boxes, BOXES, atol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)


def test_crops_vary_and_drop_boxes(windows):
  assert len({tuple(one[0]) for one in windows}) > 200
  assert {len(one[2]) for one in windows} >= {1, 2, 3}


def augment(number):
  return ssd_augment(
    tf.constant(IMAGE), tf.constant(BOXES), LABELS, IS_CROWD, seeds(number)
  )


@pytest.fixture(scope="module")
def augmented():
  """What `augment` gives for 0 to 29, computed in a graph."""
  return list(tf.data.Dataset.range(30).map(augment).as_numpy_iterator())


def test_pixels_move_with_their_boxes(augmented):
  flips = 0
  for image, boxes, labels, _ in augmented:
    assert image.dtype == np.uint8
    flips += image[0, 0, 1] > image[0, -1, 1]
    for box, label in zip(boxes, labels):
      # The pixel in the box's middle comes from inside the box.
      y, x = (box[:2] + box[2:]) / 2 * image.shape[:2]
      source = image[int(y), int(x), :2] + 0.5
      truth = BOXES[label - 4] * [HEIGHT, WIDTH, HEIGHT, WIDTH]
      assert np.all(source > truth[:2] - 1)
      assert np.all(source < truth[2:] + 1)
  assert 5 < flips < 25


def test_equal_seeds_give_equal_results_eagerly_and_in_a_graph(augmented):
  for number, in_graph in enumerate(augmented[:4]):
    for ours, again, theirs in zip(augment(number), augment(number), in_graph):
      np.testing.assert_array_equal(ours, again)
      np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_window_may_be_drawn_before_the_file_is_decoded():
  data = tf.io.encode_jpeg(IMAGE, quality=100)
  for number in range(5):
    window, *_ = crop_window(BOXES, LABELS, IS_CROWD, IMAGE.shape, seeds(number))
    y, x, height, width = window.numpy()
    # Colours are halved in a JPEG, and interpolate otherwise at a border.
    np.testing.assert_allclose(
      tf.cast(tf.image.decode_and_crop_jpeg(data, window), tf.int32),
      tf.cast(tf.image.decode_jpeg(data), tf.int32)[y : y + height, x : x + width],
      atol=4,
    )


def test_a_flip_of_a_flip_is_the_original():
  flips = 0
  for number in range(20):
    image, boxes = random_flip(IMAGE, BOXES, seeds(number))
    flips += bool(image[0, 0, 1] != IMAGE[0, 0, 1])
    image, boxes = random_flip(image, boxes, seeds(number))
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_allclose(boxes, BOXES, atol=1e-6)
  assert 3 < flips < 17


def test_boxes_may_be_missing_outside_or_without_area():
  empty = np.zeros((0, 4), "float32")
  none = np.zeros(0, "int64")
  image, boxes, labels, is_crowd = ssd_augment(IMAGE, empty, none, none, seeds(0))
  assert image.shape[0] > 0
  assert boxes.shape == (0, 4)
  assert labels.shape == is_crowd.shape == (0,)
  odd = np.float32([[0.5, 0.5, 0.5, 0.9], [1.2, 1.2, 1.5, 1.5], [0.2, 0.2, 1.1, 1.1]])
  for number in range(10):
    _, _, labels, _ = crop_window(odd, LABELS, IS_CROWD, IMAGE.shape, seeds(number))
    assert set(labels.numpy()) <= {6}
