"""Programs on Keras' other backend: Keras chooses it once a process."""

from __future__ import annotations

import os
import subprocess
import sys

# A step is compiled for a minute and taken a few times.
FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def run_on_jax(*words: str, flags: str = "") -> str:
  """Runs Python with JAX in a process of its own.

  Args:
    *words: behind `python`.
    flags: of XLA, beside those that have it compile fast.

  Returns:
    What it printed.
  """
  environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
  done = subprocess.run(
    [sys.executable, *words],
    env={**os.environ, **environment, "XLA_FLAGS": f"{FLAGS} {flags}"},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout
