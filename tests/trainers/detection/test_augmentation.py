"""Crops, flips, zooms and colours: laws that hold for every seed."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.training_config import AugmentationConfig
from hardmine.trainers.detection.inputs import augmentation
from hardmine.trainers.detection.inputs.augmentation import (
  MEAN_COLOUR,
  crop_window,
  random_flip,
)

ASPECT_RATIO = AugmentationConfig().crop_aspect_ratios
AREA = AugmentationConfig().crop_areas
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
  return augmentation.augment(
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
  image, boxes, labels, is_crowd = augmentation.augment(
    IMAGE, empty, none, none, seeds(0)
  )
  assert image.shape[0] > 0
  assert boxes.shape == (0, 4)
  assert labels.shape == is_crowd.shape == (0,)
  odd = np.float32([[0.5, 0.5, 0.5, 0.9], [1.2, 1.2, 1.5, 1.5], [0.2, 0.2, 1.1, 1.1]])
  for number in range(10):
    _, _, labels, _ = crop_window(odd, LABELS, IS_CROWD, IMAGE.shape, seeds(number))
    assert set(labels.numpy()) <= {6}


def scene():
  """A picture of 90 x 120 pixels with a red, a green and a blue rectangle."""
  pixels = np.full((90, 120, 3), 90, np.uint8)
  boxes_px = np.array([[10, 12, 40, 50], [50, 20, 80, 44], [30, 70, 70, 110]])
  for number, (ymin, xmin, ymax, xmax) in enumerate(boxes_px):
    pixels[ymin:ymax, xmin:xmax] = np.where(np.arange(3) == number, 230, 20)
  boxes = np.float32(boxes_px / [90, 120, 90, 120])
  return pixels, boxes, np.int64([1, 2, 3]), np.int64([0, 1, 0])


EVERYTHING = AugmentationConfig(zoom_out=1.0, crop=1.0, flip=0.5, colour=1.0, hue=0.03)
ONE_AT_A_TIME = {
  "zoom_out": AugmentationConfig(zoom_out=1.0, crop=0.0, flip=0.0),
  "crop": AugmentationConfig(crop=1.0, crop_areas=(0.3, 0.9), flip=0.0),
  "flip": AugmentationConfig(crop=0.0, flip=1.0),
  "colour": AugmentationConfig(crop=0.0, flip=0.0, colour=1.0, hue=0.03),
  "everything": EVERYTHING,
}


@functools.cache
def of_scene(settings, number=25):
  """The scene by so many seeds, computed in a graph."""
  drawn = tf.data.Dataset.range(number).map(
    lambda seed: augmentation.augment(*scene(), seeds(seed), settings)
  )
  return list(drawn.as_numpy_iterator())


@pytest.mark.parametrize("settings", ONE_AT_A_TIME.values(), ids=ONE_AT_A_TIME)
def test_a_rectangle_is_where_its_box_says_whatever_was_done(settings):
  seen = 0
  for pixels, boxes, labels, is_crowd in of_scene(settings):
    assert pixels.dtype == np.uint8
    assert len(boxes) == len(labels) == len(is_crowd)
    np.testing.assert_array_equal(is_crowd, labels == 2)
    assert np.all((boxes >= 0) & (boxes <= 1))
    assert np.all(boxes[:, 2:] > boxes[:, :2])
    height, width = pixels.shape[:2]
    spread = pixels.max(axis=2).astype(int) - pixels.min(axis=2)
    strongest = np.where(spread > 0.45 * spread.max(), pixels.argmax(axis=2) + 1, 0)
    for box, label in zip(boxes * [height, width, height, width], labels):
      rows, columns = np.nonzero(strongest == label)
      around = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
      np.testing.assert_allclose(around, box, atol=1.6)
      seen += 1
  assert seen > 30


def test_each_setting_does_its_own_and_nothing_else():
  pixels, boxes, labels, _ = scene()
  nothing = AugmentationConfig(crop=0.0, flip=0.0)
  np.testing.assert_array_equal(of_scene(nothing, 3)[0][0], pixels)
  for flipped, moved, *_ in of_scene(ONE_AT_A_TIME["flip"]):
    np.testing.assert_array_equal(flipped, pixels[:, ::-1])
    np.testing.assert_allclose(moved[:, 0], boxes[:, 0])
  for coloured, same, kept, _ in of_scene(ONE_AT_A_TIME["colour"]):
    assert (coloured != pixels).any()
    np.testing.assert_array_equal(same, boxes)
    np.testing.assert_array_equal(kept, labels)
  sizes = []
  for small, shrunk, kept, _ in of_scene(ONE_AT_A_TIME["zoom_out"]):
    assert small.shape == pixels.shape
    np.testing.assert_array_equal(kept, labels)
    sizes.append((shrunk[0, 2] - shrunk[0, 0]) / (boxes[0, 2] - boxes[0, 0]))
    corners = small[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == MEAN_COLOUR).all(axis=1).sum() >= 2
  assert 0.23 < min(sizes) < 0.4 < 0.7 < max(sizes) <= 1.0


def test_colours_by_hand():
  pixels = np.uint8([[[100, 150, 200], [200, 150, 100]]])
  mean = pixels.mean(axis=(0, 1))

  def changed(**settings):
    none = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    config = AugmentationConfig(colour=1.0, **{**none, **settings})
    found = [
      augmentation.recolour(pixels, seeds(number), config).numpy().astype(int)
      for number in range(8)
    ]
    assert len({one.tobytes() for one in found}) > 1 or not settings
    return found

  for one in changed():
    np.testing.assert_array_equal(one, pixels)
  for one in changed(brightness=0.2):
    difference = one - pixels.astype(int)
    assert np.ptp(difference) <= 1
    assert abs(difference.mean()) <= 51.5
  for one in changed(contrast=0.5):
    factors = (one - mean)[pixels != 150] / (pixels - mean)[pixels != 150]
    assert np.ptp(factors) < 0.05
    assert 0.45 < factors.mean() < 1.55
  for one in changed(saturation=0.5):
    grey, same = (v @ [0.299, 0.587, 0.114] for v in (pixels, one))
    np.testing.assert_allclose(same, grey, atol=1.5)
  for one in changed(hue=0.1):
    np.testing.assert_allclose(one.sum(axis=-1), pixels.sum(axis=-1, dtype=int), atol=3)
    greys = augmentation.recolour(
      np.full((1, 1, 3), 77, np.uint8),
      seeds(0),
      dataclasses.replace(AugmentationConfig(colour=1.0), brightness=0.0),
    )
    np.testing.assert_array_equal(greys, np.full((1, 1, 3), 77))


def test_shares_are_shares():
  half = AugmentationConfig(zoom_out=0.3, crop=0.0, flip=0.0)
  pixels = scene()[0]
  changed = [(one[0] != pixels).any() for one in of_scene(half, 200)]
  assert 0.2 < np.mean(changed) < 0.4


@pytest.mark.parametrize(
  "fields",
  [
    {"flip": 1.5},
    {"crop": -0.1},
    {"zoom_out_max": 0.5},
    {"crop_areas": (0.5, 0.4)},
    {"crop_areas": (0.0, 0.5)},
    {"hue": 0.7},
    {"contrast": 2.0},
  ],
)
def test_settings_that_mean_nothing_are_refused(fields):
  with pytest.raises(ValueError, match=next(iter(fields))):
    AugmentationConfig(**fields)
