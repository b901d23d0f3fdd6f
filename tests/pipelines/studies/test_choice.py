"""The diverse greedy choice, by precisions that are made up."""

import numpy as np
import pytest

from hardmine.pipelines.studies.choice import Candidate, choose, cosine


def candidate(name, *by_category):
  values = np.array(by_category, float)
  return Candidate(name=name, ap=float(np.nanmean(values)), by_category=values)


A = candidate("a", 0.8, 0.2, 0.6)
LIKE_A = candidate("like a", 0.76, 0.19, 0.57)  # the same direction
OTHER = candidate("other", 0.1, 0.8, 0.5)
WORST = candidate("worst", 0.3, 0.1, 0.1)


def outcomes(steps):
  return [(step.name, step.taken) for step in steps]


def test_the_best_ones_that_differ_are_taken_in_any_order():
  def together(names):
    return 0.5 + 0.1 * len(names)

  for candidates in ([A, LIKE_A, OTHER, WORST], [WORST, OTHER, LIKE_A, A]):
    steps = choose(candidates, together, size=3)
    assert outcomes(steps) == [
      ("a", True),
      ("like a", False),
      ("other", True),
      ("worst", True),
    ]
    assert steps[1].similar_to == "a"
    assert steps[1].similarity == pytest.approx(1)
    assert steps[1].reason == "too similar to a"
    assert steps[1].ensemble_ap is None  # nothing is fused for it


def test_none_is_taken_that_makes_it_worse():
  def together(names):
    return 0.4 if "other" in names else 0.6

  steps = choose([A, OTHER, WORST], together, size=3)
  assert outcomes(steps) == [("a", True), ("other", False), ("worst", True)]
  assert steps[1].reason == "worse together"


def test_the_best_alone_is_one_where_nothing_helps():
  steps = choose([A, OTHER], lambda names: 0.0, size=5)
  assert outcomes(steps) == [("a", True), ("other", False)]


def test_no_more_are_taken_than_asked_for():
  steps = choose([A, OTHER, WORST], lambda names: 0.9, size=2)
  assert outcomes(steps) == [("a", True), ("other", True), ("worst", False)]
  assert steps[2].reason == "2 are taken"


def test_with_a_single_category_nothing_is_too_similar():
  one, other = candidate("one", 0.8), candidate("other", 0.7)
  assert cosine(one, other) is None
  steps = choose([one, other], lambda names: 0.9, size=2, most_similar=0.0)
  assert outcomes(steps) == [("one", True), ("other", True)]


def test_categories_without_objects_do_not_count():
  one, other = candidate("one", 0.5, np.nan, 0.1), candidate("o", 0.1, 0.9, 0.5)
  assert cosine(one, other) == pytest.approx((0.05 + 0.05) / 0.26)
  assert cosine(candidate("0", 0, 0), candidate("1", 1, 1)) == 0


def test_a_bound_of_1_leaves_out_none_not_even_by_rounding():
  rng = np.random.default_rng(0)
  for _ in range(100):
    one = candidate("one", *rng.uniform(0, 1, 7))
    assert 0.99 < cosine(one, one) <= 1
