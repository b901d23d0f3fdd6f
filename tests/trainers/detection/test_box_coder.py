"""Codes of boxes: by hand, and back."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from hardmine.trainers.detection.geometry.box_coder import MAX_LOG_RATIO, decode, encode

CODINGS = ("log", "corners", "sqrt")
every_coding = pytest.mark.parametrize("coding", CODINGS)

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


def test_the_other_codings_by_hand():
  anchor = np.float32([[0, 0, 0.2, 0.4]])
  box = np.float32([[0.1, 0.3, 0.5, 0.5]])
  expected = [[10 * 0.1 / 0.2, 10 * 0.3 / 0.4, 10 * 0.3 / 0.2, 10 * 0.1 / 0.4]]
  np.testing.assert_allclose(encode(box, anchor, "corners"), expected, rtol=1e-5)
  expected = [[10, 5, 10 * (math.sqrt(2) - 1), 10 * (math.sqrt(0.5) - 1)]]
  np.testing.assert_allclose(encode(box, anchor, "sqrt"), expected, rtol=1e-5)
  with pytest.raises(ValueError, match="log, corners or sqrt"):
    encode(box, anchor, "exp")


@every_coding
def test_an_anchors_own_code_is_zero(coding):
  anchor = np.float32([[0.25, 0.5, 0.75, 0.625]])
  zeros = np.zeros((1, 4), "float32")
  np.testing.assert_array_equal(encode(anchor, anchor, coding), zeros)
  np.testing.assert_array_equal(decode(zeros, anchor, coding), anchor)


@every_coding
@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(CENTERED, CENTERED)
def test_decoding_inverts_encoding(coding, box, anchor):
  box, anchor = corners(box), corners(anchor)
  found = decode(encode(box, anchor, coding), anchor, coding)
  np.testing.assert_allclose(found, box, atol=5e-6)


@every_coding
@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
  strategies.lists(strategies.floats(-70, 70, width=32), min_size=4, max_size=4),
  CENTERED,
)
def test_encoding_inverts_decoding(coding, code, anchor):
  """Where a code means a box that has a size."""
  anchor, code = corners(anchor), np.float32([code])
  if coding == "corners":
    code[:, 2:] = code[:, :2] + np.abs(code[:, 2:])
  elif coding == "sqrt":
    code[:, 2:] = np.abs(code[:, 2:]) - 9
  else:
    code[:, 2:] = np.clip(code[:, 2:], -10, 20)
  found = encode(decode(code, anchor, coding), anchor, coding)
  np.testing.assert_allclose(found, code, atol=0.05)


@every_coding
def test_codes_do_not_see_where_and_how_large(coding):
  rng = np.random.default_rng(0)
  box, anchor = (corners(rng.uniform(0.2, 0.8, 4)) for _ in range(2))
  expected = encode(box, anchor, coding)
  scaled = encode(600 * box, 600 * anchor, coding)
  np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(encode(box + 1, anchor + 1, coding), expected, atol=1e-4)


@every_coding
def test_codings_agree_near_the_anchor(coding):
  """A small step of a centre or a size is as large in every coding's loss."""
  anchor = corners((0.5, 0.5, 0.2, 0.4))
  moved = corners((0.501, 0.5, 0.2, 0.4))
  found = np.asarray(encode(moved, anchor, coding))
  np.testing.assert_allclose(found[0, 0], 0.05, rtol=1e-3)
  larger = corners((0.5, 0.5, 0.201, 0.4))
  found = np.abs(np.asarray(encode(larger, anchor, coding)))
  np.testing.assert_allclose(found.max(), 0.025, rtol=1e-2)


def test_no_code_overflows_and_no_box_is_without_a_code():
  anchor = np.float32([[0, 0, 0.1, 0.1]])
  wild = np.asarray(decode(np.float32([[0, 0, 1e4, 5 * MAX_LOG_RATIO]]), anchor))
  np.testing.assert_allclose(wild[0, 2:] - wild[0, :2], [6.25, 6.25], rtol=1e-5)
  assert np.all(np.isfinite(encode(np.zeros((1, 4), "float32"), anchor)))


@every_coding
def test_any_finite_code_means_a_finite_box(coding):
  anchor = np.float32([[0.2, 0.3, 0.4, 0.6]])
  ends = [-3e38, -1e4, -1.0, 0.0, 1.0, 1e4, 3e38]
  codes = np.float32(np.array(np.meshgrid(*[ends] * 4)).reshape(4, -1).T)
  assert np.isfinite(decode(codes, anchor, coding)).all()
  fresh = np.random.default_rng(0).normal(0, 10, (100, 4)).astype("float32")
  assert np.abs(decode(fresh, anchor, coding)).max() < 100
  assert np.isfinite(encode(np.zeros((1, 4), "float32"), anchor, coding)).all()
