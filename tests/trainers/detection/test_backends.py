"""Boxes to losses on Keras' other backend."""

import numpy as np
import pytest

from tests.trainers.detection import geometry
from tests.trainers.on_jax import run_on_jax


def test_jax_computes_what_tensorflow_does(tmp_path):
  pytest.importorskip("jax")
  path = tmp_path / "results.npz"
  run_on_jax("-m", "tests.trainers.detection.geometry", str(path))
  expected = geometry.results()
  with np.load(path) as found:
    assert set(found) == set(expected)
    for name, value in expected.items():
      assert found[name].dtype == value.dtype
      np.testing.assert_allclose(found[name], value, atol=1e-4, rtol=1e-5, err_msg=name)
