"""Codes of boxes: by hand, and back."""

import math

import hypothesis
import numpy as np
from hypothesis import strategies

from hardmine.trainers.detection.box_coder import MAX_LOG_RATIO, decode, encode

POSITIONS = strategies.floats(-1, 2, width=32)
SIDES = strategies.floats(0.03125, 1, width=32)
CENTERED = strategies.tuples(POSITIONS, POSITIONS, SIDES, SIDES)


def corners(center):
  y, x, height, width = center
  return np.float32([[y - height / 2, x - width / 2, y + height / 2, x + width / 2]])


def test_codes_by_hand():
  anchor = np.float32([[0, 0, 0.2, 0.4]])
  box = np.float32([[0.1, 0.3, 0.5, 0.5]])
  # centres (0.3, 0.4) and (0.1, 0.2); twice as high, half as wide
  expected = [[10 * 0.2 / 0.2, 10 * 0.2 / 0.4, 5 * math.log(2), -5 * math.log(2)]]
  np.testing.assert_allclose(encode(box, anchor), expected, rtol=1e-5)


def test_an_anchors_own_code_is_zero():
  anchor = np.float32([[0.25, 0.5, 0.75, 0.625]])
  np.testing.assert_array_equal(encode(anchor, anchor), np.zeros((1, 4)))
  np.testing.assert_array_equal(decode(np.zeros((1, 4), "float32"), anchor), anchor)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(CENTERED, CENTERED)
def test_decoding_inverts_encoding(box, anchor):
  box, anchor = corners(box), corners(anchor)
  np.testing.assert_allclose(decode(encode(box, anchor), anchor), box, atol=3e-6)


def test_codes_do_not_see_where_and_how_large():
  rng = np.random.default_rng(0)
  box, anchor = (corners(rng.uniform(0.2, 0.8, 4)) for _ in range(2))
  expected = encode(box, anchor)
  np.testing.assert_allclose(encode(600 * box, 600 * anchor), expected, rtol=1e-4)
  np.testing.assert_allclose(encode(box + 1, anchor + 1), expected, atol=1e-4)


def test_no_code_overflows_and_no_box_is_without_a_code():
  anchor = np.float32([[0, 0, 0.1, 0.1]])
  wild = np.asarray(decode(np.float32([[0, 0, 1e4, 5 * MAX_LOG_RATIO]]), anchor))
  np.testing.assert_allclose(wild[0, 2:] - wild[0, :2], [6.25, 6.25], rtol=1e-5)
  assert np.all(np.isfinite(encode(np.zeros((1, 4), "float32"), anchor)))
