"""Shows an exported model a picture, in a process of its own with limits."""

from __future__ import annotations

import os
import sys

from hardmine.serving.probe.sandbox import Outcome, run_limited

TIMEOUT_SECONDS = 300
MEMORY_BYTES = 8 << 30


def ask(
  model_dir: str | os.PathLike,
  *,
  timeout_seconds: float = TIMEOUT_SECONDS,
  memory_bytes: int = MEMORY_BYTES,
) -> Outcome:
  """Whether a model loads and answers, and if not, why.

  Args:
    model_dir: the SavedModel folder.
    timeout_seconds: for starting Python, loading and answering together.
    memory_bytes: resident memory that it may use.
  """
  return run_limited(
    [sys.executable, "-m", "hardmine.serving.probe.infra_probe", os.fspath(model_dir)],
    timeout_seconds=timeout_seconds,
    memory_bytes=memory_bytes,
  )
