"""All three meta-architectures learn and detect on Keras' other backend."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainers.detection import learning
from tests.trainers.on_jax import run_on_jax


@pytest.mark.slow
def test_jax_learns_and_finds_what_tensorflow_does(tmp_path):
  pytest.importorskip("jax")
  path = tmp_path / "results.npz"
  run_on_jax("-m", "tests.trainers.detection.learning", str(path))
  expected = learning.results()
  with np.load(path) as found:
    assert set(found) == set(expected)
    for name, values in expected.items():
      assert np.isfinite(values).all(), name
      assert values.size > 0, name
      np.testing.assert_allclose(
        found[name], values, rtol=1e-3, atol=1e-3, err_msg=name
      )
