"""Shows an exported model a picture, in a process of its own with limits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hardmine
from hardmine.serving.probe.sandbox import Outcome, run_limited

TIMEOUT_SECONDS = 300
MEMORY_BYTES = 8 << 30
# Modules of the current folder are no code of ours, whatever their names; with `-m`
# they would come first.
_START = """
import sys
sys.path[:] = [*filter(None, sys.path), sys.argv.pop(1)]
from hardmine.serving.probe.infra_probe import main
main()
"""


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
  place = str(Path(hardmine.__file__).parents[1])
  return run_limited(
    [sys.executable, "-c", _START, place, os.fspath(model_dir)],
    timeout_seconds=timeout_seconds,
    memory_bytes=memory_bytes,
  )
