"""Boxes on pictures: what changes, what must not, and odd boxes."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.trainers.detection.results import drawing
from hardmine.trainers.detection.results.drawing import (
  colour_of,
  draw_boxes,
  ground_truth_beside_predictions,
  shrink,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


def draw(boxes, captions=None, keys=None, pixels=PICTURE, **options):
  captions = [""] * len(boxes) if captions is None else captions
  keys = [1] * len(boxes) if keys is None else keys
  return draw_boxes(pixels, np.reshape(boxes, (-1, 4)), captions, keys, **options)


def changed(drawn, pixels=PICTURE):
  """Rows and columns of the pixels that differ."""
  return np.nonzero((drawn != pixels).any(axis=2))


def test_no_box_changes_nothing():
  before = PICTURE.copy()
  drawn = draw([])
  np.testing.assert_array_equal(drawn, PICTURE)
  assert drawn is not PICTURE
  draw([[1, 1, 30, 30]], ["a"])
  np.testing.assert_array_equal(PICTURE, before)  # drawing works on a copy


def test_only_the_outline_changes():
  drawn = draw([[20, 30, 60, 80]], line_px=2)
  mask = np.zeros(PICTURE.shape[:2], bool)
  mask[20:60, 30:80] = True
  mask[22:58, 32:78] = False
  assert (drawn[mask] == colour_of(1)).all()
  np.testing.assert_array_equal(drawn[~mask], PICTURE[~mask])


def test_a_tag_stands_above_its_box_in_the_boxs_colour():
  drawn = draw([[40, 30, 80, 60]], ["dog 0.93"], [7], line_px=1)
  rows, columns = changed(drawn)
  assert 20 < rows.min() < 30  # above
  assert rows.max() == 79
  assert columns.min() == 30
  tag = drawn[rows.min() : 40, 30 : columns.max() + 1].reshape(-1, 3)
  assert (tag == colour_of(7)).all(axis=1).mean() > 0.4  # the rest is text
  contrast = np.abs(tag.astype(int) - colour_of(7)).max()
  assert contrast > 100


@pytest.mark.parametrize(
  "box",
  [
    [0, 0, 90, 120],
    [-50, -50, 500, 500],
    [0, 110, 5, 120],
    [85, 100, 90, 120],
    [88.5, 119.5, 90, 120],
  ],
)
def test_boxes_at_the_borders_keep_size_and_show_their_caption(box):
  drawn = draw([box], ["a long caption"])
  assert drawn.shape == PICTURE.shape
  assert drawn.dtype == np.uint8
  assert (drawn == colour_of(1)).all(axis=2).sum() > 200  # the tag is inside


def test_a_box_outside_or_not_finite_is_left_out():
  for box in (
    [0, 130, 10, 140],
    [-20, 0, -10, 10],
    [np.nan, 0, 9, 9],
    [0, 0, 5, 1e400],
  ):
    np.testing.assert_array_equal(draw([box], ["x"]), PICTURE)


@pytest.mark.parametrize(
  "box", [[10, 10, 10, 10], [30, 30, 20, 20], [5.2, 5.2, 5.4, 9]]
)
def test_an_empty_or_inverted_box_is_a_mark(box):
  rows, columns = changed(draw([box]))
  assert 1 <= len(rows) <= 12
  assert abs(rows.min() - box[0]) <= 1
  assert abs(columns.min() - box[1]) <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (1200, 900)])
def test_pictures_of_any_size(size):
  pixels = np.zeros((*size, 3), np.uint8)
  drawn = draw([[0, 0, *size]], ["caption"], pixels=pixels)
  assert drawn.shape == pixels.shape
  assert drawn.any()


def test_the_first_box_is_on_top():
  box = [10, 10, 50, 50]
  drawn = draw([box, box], keys=[1, 2], line_px=1)
  assert tuple(drawn[30, 10]) == colour_of(1)


def test_colours_belong_to_the_category_and_differ():
  assert colour_of(18) == colour_of(18)
  colours = np.array([colour_of(key) for key in range(1, 91)])
  apart = np.abs(colours[:, None] - colours[None]).sum(-1)
  np.fill_diagonal(apart, 999)
  assert apart.min() > 8
  following = np.abs(np.diff(colours, axis=0)).sum(-1)
  assert following.min() > 100


def test_text_is_readable_on_every_colour():
  def luminance(colour):
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])

  for key in range(200):
    tag = colour_of(key)
    ends = sorted((luminance(tag), luminance(drawing._readable_on(tag))))
    assert (ends[1] + 0.05) / (ends[0] + 0.05) > 4  # WCAG asks for 3 of large text


def test_letters_without_a_glyph_become_ascii():
  assert drawing._plain("träne, ñandú") == "trane, nandu"
  assert drawing._plain("狗") == "?"


def test_wrong_arguments_are_named():
  with pytest.raises(ValueError, match="Received: shape="):
    draw_boxes(PICTURE[..., 0], np.zeros((0, 4)), [], [])
  with pytest.raises(ValueError, match="captions=1"):
    draw_boxes(PICTURE, np.zeros((2, 4)), ["a"], [1])
  with pytest.raises(ValueError, match="line_px=0"):
    draw([], line_px=0)


def beside(pixels=PICTURE, num=2, **options):
  boxes = np.tile([20.0, 30.0, 60.0, 80.0], (num, 1))
  return ground_truth_beside_predictions(
    pixels,
    truth_boxes_yxyx_px=boxes[:1],
    truth_keys=[1] * len(boxes[:1]),
    boxes_yxyx_px=boxes,
    keys=[2] * num,
    scores=np.linspace(0.9, 0.1, num),
    names={1: "cat", 2: "dog"},
    **options,
  )


def test_truth_is_left_and_predictions_right_below_headings():
  picture = beside()
  heading_px = len(picture) - len(PICTURE)
  assert 0 < heading_px < 40
  left = picture[heading_px:, : PICTURE.shape[1]]
  right = picture[heading_px:, -PICTURE.shape[1] :]
  assert tuple(left[59, 40]) == colour_of(1)
  assert tuple(right[59, 40]) == colour_of(2)
  np.testing.assert_array_equal(right[70:], PICTURE[70:])
  assert (picture[:heading_px, 121:] != 255).any()  # a heading each


def test_nothing_found_leaves_the_right_picture_as_it_is():
  for options in ({"num": 0}, {"min_score": 0.95}):
    right = beside(**options)[-90:, -120:]
    np.testing.assert_array_equal(right, PICTURE)


def test_large_pictures_are_shrunk_before_drawing():
  picture = beside(np.repeat(np.repeat(PICTURE, 10, 0), 10, 1), max_side_px=120)
  assert picture.shape == beside().shape
  small, scale_yxyx = shrink(PICTURE, 60)
  assert small.shape == (45, 60, 3)
  np.testing.assert_array_equal(scale_yxyx, [0.5] * 4)


@pytest.mark.parametrize("caption", ["two\nlines", "a\ttab", "\x1b[31mred", "\u2028"])
def test_a_caption_is_one_line_whatever_it_holds(caption):
  pixels = np.zeros((80, 200, 3), np.uint8)
  plain = draw_boxes(pixels, [[20, 10, 60, 100]], [caption], [3])
  marks = "".join(c if c.isprintable() else "?" for c in caption)
  same = draw_boxes(pixels, [[20, 10, 60, 100]], [marks], [3])
  np.testing.assert_array_equal(plain, same)
