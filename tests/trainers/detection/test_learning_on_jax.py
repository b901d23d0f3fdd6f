"""All three meta-architectures learn and detect on Keras' other backend."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.trainers.detection import learning


@pytest.mark.slow
def test_jax_learns_and_finds_what_tensorflow_does(tmp_path):
  """Another process, since Keras chooses its backend once."""
  pytest.importorskip("jax")
  path = tmp_path / "results.npz"
  done = subprocess.run(
    [sys.executable, "-m", "tests.trainers.detection.learning", str(path)],
    env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  expected = learning.results()
  with np.load(path) as found:
    assert set(found) == set(expected)
    for name, values in expected.items():
      assert np.isfinite(values).all(), name
      assert values.size > 0, name
      np.testing.assert_allclose(
        found[name], values, rtol=1e-3, atol=1e-3, err_msg=name
      )
