"""Which runtime runs a model: what was asked for, else ONNX Runtime."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import has_light_form

if TYPE_CHECKING:
  from hardmine.trainers.runtime.graph import Graph

# Each by the name of its package.
ONNX_RUNTIME, OPENVINO, TENSORFLOW = RUNTIMES = (
  "onnxruntime",
  "openvino",
  "tensorflow",
)
VARIABLE = "HARDMINE_RUNTIME"


def choose_runtime(model_dir: str | os.PathLike, runtime: str | None = None) -> str:
  """The runtime for an exported model.

  Args:
    model_dir: its folder.
    runtime: one of `RUNTIMES`; None takes `$HARDMINE_RUNTIME`, and without that ONNX
      Runtime: with equal precision no other is faster throughout
      (`benchmarks/runtimes.py`, `benchmarks/detector_runtimes.py`). A model without a
      light form runs on TensorFlow.

  Raises:
    ValueError: no such runtime, or one that cannot run this model.
    RuntimeError: it is not installed.
  """
  light = has_light_form(model_dir)
  runtime = known_runtime(runtime)
  if runtime is None:
    runtime = ONNX_RUNTIME if light else TENSORFLOW
  require(
    light or runtime == TENSORFLOW,
    "the runtime tensorflow for a model that was exported without a light form; "
    "`hardmine models convert` adds it",
    runtime=runtime,
  )
  if not _is_installed(runtime):
    raise RuntimeError(_missing(runtime, light))
  return runtime


def known_runtime(name: str | None) -> str | None:
  """What was asked for, by word or by `$HARDMINE_RUNTIME`; None where nothing was.

  Raises:
    ValueError: there is no such runtime.
  """
  name = name or os.environ.get(VARIABLE) or None
  require(
    name is None or name in RUNTIMES, f"a runtime: {', '.join(RUNTIMES)}", runtime=name
  )
  return name


def open_graph(
  model: str | os.PathLike | bytes,
  runtime: str,
  num_threads: int | None = None,
  sides: Mapping[str, int] | None = None,
) -> Graph:
  """Makes an ONNX model ready.

  Args:
    model: its file, or what that holds.
    runtime: any of `RUNTIMES` but TensorFlow.
    num_threads: None takes the processors that this process may use.
    sides: what the graph's free sides will be, by their names, if one graph is to serve
      one size: ONNX Runtime then fuses more, and gives memory back after every run.
  """
  num_threads = num_threads or len(os.sched_getaffinity(0))
  if runtime == OPENVINO:
    from hardmine.trainers.runtime.openvino import OpenVinoGraph

    return OpenVinoGraph(model, num_threads)
  from hardmine.trainers.runtime.onnx_runtime import OnnxRuntimeGraph

  return OnnxRuntimeGraph(model, num_threads, sides)


def _is_installed(runtime: str) -> bool:
  return importlib.util.find_spec(runtime) is not None


def _missing(runtime: str, light: bool) -> str:
  """What to install, or what to do instead."""
  remedies: Mapping[str, str] = {
    ONNX_RUNTIME: "pip install onnxruntime",
    OPENVINO: "pip install 'hardmine[openvino]'",
    TENSORFLOW: "pip install 'hardmine[pipelines]'"
    + (
      ""
      if light
      else ", or have `hardmine models convert` add the light form where TensorFlow is"
    ),
  }
  return f"{runtime} is not installed; {remedies[runtime]}"
