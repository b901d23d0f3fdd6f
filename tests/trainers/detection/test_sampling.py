"""What is drawn of an image: how much, of what, and that all have their chance."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.trainers.detection.training.sampling import gathered, sample


def drawn(num_positive, num_negative, num=8, share=0.25, num_ignored=5, seed=0):
  """How many positives and negatives are drawn of so many; none of the ignored."""
  kinds = [1] * num_positive + [0] * num_negative + [-1] * num_ignored
  generator = np.random.default_rng(seed)
  kinds = generator.permutation(kinds)[np.newaxis]
  noise = generator.uniform(size=kinds.shape).astype(np.float32)
  weights = (kinds >= 0).astype(np.float32)
  mask = np.asarray(sample(kinds == 1, weights, noise, num, share))
  assert not mask[kinds == -1].any()
  return int(mask[kinds == 1].sum()), int(mask[kinds == 0].sum())


@pytest.mark.parametrize(
  ("there", "expected"),
  [
    ((10, 100), (2, 6)),  # a quarter
    ((1, 100), (1, 7)),  # negatives fill
    ((0, 100), (0, 8)),
    ((10, 3), (2, 3)),  # too few negatives: fewer, and no more positives
    ((10, 0), (2, 0)),
    ((0, 0), (0, 0)),
  ],
)
def test_negatives_fill_what_positives_leave(there, expected):
  assert drawn(*there) == expected


def test_every_one_has_its_chance_and_noise_alone_decides():
  positive = np.array([[True] * 4 + [False] * 12])
  weights = np.ones(positive.shape, np.float32)
  counts = np.zeros(16)
  for seed in range(200):
    noise = np.random.default_rng(seed).uniform(size=(1, 16)).astype(np.float32)
    mask = np.asarray(sample(positive, weights, noise, 8, 0.25))[0]
    again = np.asarray(sample(positive, weights, noise, 8, 0.25))[0]
    np.testing.assert_array_equal(mask, again)
    counts += mask
  np.testing.assert_allclose(counts, 100, atol=40)  # half of 200; deviation 7


def test_what_is_drawn_comes_first_in_its_order():
  mask = np.array([[0, 1, 0, 1, 0], [0, 0, 0, 0, 1]], np.float32)
  values = np.arange(10).reshape(2, 5)
  boxes = np.stack([values] * 4, axis=-1).astype(np.float32)
  kept, rows, four = (np.asarray(x) for x in gathered(mask, 3, values, boxes))
  np.testing.assert_array_equal(kept, [[1, 1, 0], [1, 0, 0]])
  np.testing.assert_array_equal(rows, [[1, 3, 0], [9, 5, 6]])
  np.testing.assert_array_equal(four[..., 2], rows)
  assert gathered(mask, 99, values)[1].shape == (2, 5)
