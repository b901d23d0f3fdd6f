"""`--runtime`: what runs a model, alike for every command that does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hardmine.schemas.exported_model import has_light_form
from hardmine.trainers.runtime.choice import RUNTIMES, VARIABLE, choose_runtime


def add_runtime_argument(parser) -> None:
  """Adds `--runtime NAME`."""
  parser.add_argument(
    "--runtime",
    choices=RUNTIMES,
    help="what runs the model (default: "
    f"${VARIABLE}, else openvino for detectors where it is installed, else "
    "onnxruntime; tensorflow for models that were exported without a light form)",
  )


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


def without_light_form(model_dir: Path) -> str:
  """What a model of before is, and how it gets what it lacks."""
  return (
    f"{model_dir} was exported without a light form and runs on TensorFlow, which "
    "takes seconds to start; `hardmine models convert` adds the light form"
  )
