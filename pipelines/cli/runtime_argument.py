"""`--runtime`: what runs a model, alike for every command that does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hardmine.schemas.exported_model import has_light_form, without_light_form
from hardmine.trainers.runtime.choice import (
  ONNX_RUNTIME,
  RUNTIMES,
  VARIABLE,
  choose_runtime,
)


def add_runtime_argument(parser) -> None:
  """Adds `--runtime NAME`."""
  parser.add_argument(
    "--runtime",
    choices=RUNTIMES,
    help="what runs the model (default: "
    f"${VARIABLE}, else onnxruntime; tensorflow for models that were exported "
    "without a light form)",
  )


def threads_of_each(at_once: int, runtime: str) -> int | None:
  """How many threads each of several calls at a time gets; None is the runtime's own.

  On ONNX Runtime a call runs in its caller's thread and as many helpers as are asked
  for. OpenVINO lets one call after the other have all threads.
  """
  if at_once == 1 or runtime != ONNX_RUNTIME:
    return None
  return max(1, len(os.sched_getaffinity(0)) // at_once)


def runtime_of(model_dir: Path, args: argparse.Namespace) -> str:
  """What is to run a model; says why, where that is TensorFlow for want of better.

  Raises:
    ValueError: no such runtime, or one that cannot run this model.
    RuntimeError: it is not installed.
  """
  runtime = choose_runtime(model_dir, args.runtime)
  if not has_light_form(model_dir):
    print(f"hardmine: {without_light_form(model_dir)}", file=sys.stderr, flush=True)
  return runtime
