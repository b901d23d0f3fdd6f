"""`hardmine.components.evaluation.evaluation_set`: same set, same name."""

from __future__ import annotations

import numpy as np

from hardmine.components.evaluation.evaluation_set import evaluation_set


def test_the_name_follows_content_order_and_settings():
  a, b = np.zeros((2, 3), np.uint8), np.ones((2, 3), np.uint8)
  name = evaluation_set([a, b], iterations=16)
  assert name == evaluation_set(iter([a.copy(), b.copy()]), iterations=16)
  others = [
    evaluation_set([b, a], iterations=16),
    evaluation_set([a], iterations=16),
    evaluation_set([a.reshape(3, 2), b], iterations=16),
    evaluation_set([a.astype(np.int8), b], iterations=16),
    evaluation_set([a, b], iterations=8),
    evaluation_set([b"12", b"3"]),
    evaluation_set([b"1", b"23"]),
  ]
  assert len({name, *others}) == 8
