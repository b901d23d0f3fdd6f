"""Fusing answers: its laws, and the numbers of the package it stands for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hardmine.trainers.detection.ensembles.fusing import Answer, fuse


def answer(boxes, scores, labels=None, **options):
  scores = np.array(scores, np.float32)
  labels = np.ones(len(scores), np.int64) if labels is None else np.array(labels)
  boxes = np.array(boxes, np.float32).reshape(-1, 4)
  return Answer(boxes_yxyx=boxes, scores=scores, labels=labels, **options)


def random_answer(rng, num=30, num_labels=3, **options):
  """Boxes that overlap each other, some of them a lot; scores with ties."""
  corners = rng.integers(0, 40, (num, 2)).astype(np.float32)
  sizes = rng.uniform(20, 60, (num, 2)).astype(np.float32)
  return answer(
    np.hstack([corners, corners + sizes]),
    np.round(rng.uniform(0, 1, num), 1),
    rng.integers(1, num_labels + 1, num),
    **options,
  )


def rows(found):
  """As a sorted list: equal scores have no order."""
  columns = [found.scores[:, None], found.labels[:, None], found.boxes_yxyx]
  return np.array(sorted(np.hstack(columns).tolist()))


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_a_model_fused_with_itself_is_that_model(copies):
  one = random_answer(np.random.default_rng(copies))
  found = fuse([one] * copies)
  assert (np.diff(found.scores) <= 0).all()
  np.testing.assert_allclose(rows(found), rows(one), rtol=1e-6)


def test_the_order_of_answers_means_nothing():
  rng = np.random.default_rng(1)
  answers = [random_answer(rng, weight=weight) for weight in (1.0, 0.5, 1.0)]
  first, *others = (fuse(list(each)) for each in itertools.permutations(answers))
  for other in others:
    for name in ("boxes_yxyx", "scores", "labels"):
      np.testing.assert_array_equal(getattr(other, name), getattr(first, name))


def test_scores_stay_in_0_to_1_though_a_model_says_an_object_twice():
  twice = answer([[0, 0, 10, 10], [0, 0, 10, 10.5]], [1, 1])
  found = fuse([twice, twice, answer([[0, 0, 10, 10]], [1], weight=7.5)])
  assert found.scores.max() == 1
  assert len(found.scores) == 2
  rng = np.random.default_rng(2)
  found = fuse([random_answer(rng, 60, weight=w) for w in (0.1, 3, 1)])
  assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_boxes_are_means_by_score_and_scores_are_means_over_all_answers():
  found = fuse(
    [
      answer([[10, 10, 50, 50], [60, 60, 90, 90]], [0.9, 0.4]),
      answer([[12, 11, 52, 54]], [0.6]),
      answer([[11, 12, 50, 51], [61, 62, 92, 90]], [0.3, 0.8]),
    ]
  )
  # what ensemble_boxes 1.0.9 gives, weighted_boxes_fusion(iou_thr=0.55)
  np.testing.assert_allclose(found.scores, [0.6, 0.4], rtol=1e-6)
  expected = [
    [10.8333333, 10.6666667, 50.6666667, 51.5],
    [60.6666667, 61.3333333, 91.3333333, 90],
  ]
  np.testing.assert_allclose(found.boxes_yxyx, expected, rtol=1e-6)


def test_a_weight_counts_in_boxes_and_scores():
  boxes = ([[0, 0, 10, 10]], [[0, 0, 10, 12]])
  found = fuse([answer(boxes[0], [0.8], weight=3.0), answer(boxes[1], [0.4])])
  np.testing.assert_allclose(found.scores, [(3 * 0.8 + 0.4) / 4], rtol=1e-6)
  xmax = (3 * 0.8 * 10 + 0.4 * 12) / (3 * 0.8 + 0.4)
  np.testing.assert_allclose(found.boxes_yxyx, [[0, 0, 10, xmax]], rtol=1e-6)


def test_what_one_of_two_finds_counts_half():
  found = fuse([answer([[0, 0, 10, 10]], [0.8]), answer([], [])])
  np.testing.assert_allclose(found.scores, [0.4], rtol=1e-6)


def test_an_answer_about_a_part_says_nothing_of_the_rest():
  left = {"whole_yxyx": (-np.inf, -np.inf, np.inf, 20.0)}
  whole = answer([[0, 0, 10, 10], [0, 30, 10, 40]], [0.8, 0.6])
  found = fuse([whole, answer([], [], **left)])
  np.testing.assert_allclose(found.scores, [0.6, 0.4], rtol=1e-6)
  np.testing.assert_allclose(found.boxes_yxyx[0], [0, 30, 10, 40])
  found = fuse([whole, answer([[0, 12, 10, 25]], [0.9], **left)])
  assert found.num_cut == 1
  np.testing.assert_allclose(found.scores, [0.6, 0.4], rtol=1e-6)


def test_boxes_of_two_categories_both_stay():
  box = [[0, 0, 10, 10]]
  found = fuse([answer(box, [0.9], [1]), answer(box, [0.7], [2])])
  assert found.labels.tolist() == [1, 2]
  np.testing.assert_allclose(found.scores, [0.45, 0.35], rtol=1e-6)
  np.testing.assert_allclose(found.boxes_yxyx, box * 2)


def test_boxes_without_area_are_left_out_and_counted():
  found = fuse([answer([[0, 0, 0, 10], [0, 0, 5, 5], [3, 3, 9, 3]], [0.9, 0.8, 0.7])])
  assert found.num_without_area == 2
  assert found.boxes_yxyx.tolist() == [[0, 0, 5, 5]]


def test_boxes_that_score_nothing_have_a_place():
  found = fuse([answer([[0, 0, 5, 5]], [0]), answer([[0, 0, 5, 6]], [0])])
  np.testing.assert_allclose(found.boxes_yxyx, [[0, 0, 5, 5.5]])
  assert found.scores.tolist() == [0]


def test_nothing_of_nothing():
  found = fuse([answer([], []), answer([], [])])
  assert found.boxes_yxyx.shape == (0, 4)
  assert found.scores.shape == found.labels.shape == (0,)


@pytest.mark.parametrize(
  ("wrong", "said"),
  [
    (lambda: answer([[10, 0, 5, 5]], [0.5]), "no corner swapped"),
    (lambda: answer([[0, 0, np.nan, 5]], [0.5]), "finite boxes"),
    (lambda: answer([[0, 0, 5, 5]], [1.5]), "scores from 0 to 1"),
    (lambda: answer([[0, 0, 5, 5]], [np.nan]), "scores from 0 to 1"),
    (lambda: answer([[0, 0, 5, 5]], [0.5, 0.5]), "scores \\[n\\]"),
    (lambda: answer([], [], weight=0.0), "a weight above 0"),
    (lambda: answer([], [], weight=float("inf")), "a weight above 0"),
    (lambda: fuse([]), "at least one answer"),
    (lambda: fuse([answer([], [])], 1.0), "0 < iou_threshold < 1"),
  ],
  ids=[
    "corners",
    "nan",
    "score",
    "nan_score",
    "lengths",
    "weight",
    "inf",
    "none",
    "iou",
  ],
)
def test_what_cannot_be_is_refused(wrong, said):
  with pytest.raises(ValueError, match=said):
    wrong()
