"""Boxes to losses on Keras' other backend."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.trainers.detection import geometry


def test_jax_computes_what_tensorflow_does(tmp_path):
  """Another process, since Keras chooses its backend once."""
  pytest.importorskip("jax")
  path = tmp_path / "results.npz"
  done = subprocess.run(
    [sys.executable, "-m", "tests.trainers.detection.geometry", str(path)],
    env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  expected = geometry.results()
  with np.load(path) as found:
    assert set(found) == set(expected)
    for name, value in expected.items():
      assert found[name].dtype == value.dtype
      np.testing.assert_allclose(found[name], value, atol=1e-4, rtol=1e-5, err_msg=name)
