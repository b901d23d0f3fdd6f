"""One experiment per file; `find` loads one by name or by path.

A file holds `def experiment() -> CodecExperiment` (or `DetectionExperiment`) and
says in its docstring which paper it repeats, by which command, and which numbers
to expect. A cell or a feature extractor of the user's own is a class of that file, or
of a module beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
from pathlib import Path

from hardmine.schemas.class_names import (
  search_modules_in,
  trust_experiment,
  trust_modules_in,
)
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment, DetectionExperiment, Experiment


def names() -> list[str]:
  """The experiments that ship with the package."""
  return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(reference: str) -> Experiment:
  """The experiment of a name, or of a path to a .py or .json file.

  Raises:
    ValueError: there is no such experiment, or the file does not hold one.
  """
  path = Path(reference)
  if path.suffix == ".json":
    require(path.is_file(), "a .json file that exists", experiment=reference)
    trust_modules_in(path.parent)
    text = path.read_text("utf-8")
    return _kind_of(text).from_json(text)
  if path.suffix == ".py":
    require(path.is_file(), "a .py file that exists", experiment=reference)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    trust_modules_in(path.parent)
    search_modules_in(path.parent.resolve())
    spec.loader.exec_module(module)
    trust_experiment(module)
  else:
    require(
      reference in names(),
      f"one of {', '.join(names())}, or the path of a .py or .json file",
      experiment=reference,
    )
    module = importlib.import_module(f"{__name__}.{reference}")
  made = getattr(module, "experiment", lambda: None)()
  if not isinstance(made, Experiment):
    raise ValueError(
      "Expected a file with `def experiment()` that gives a CodecExperiment or a "
      f"DetectionExperiment. Received: experiment={reference!r}"
    )
  return made


def _kind_of(text: str) -> type[Experiment]:
  """By the part that only detectors have; what is no JSON is left to `from_json`."""
  try:
    plain = json.loads(text)
  except json.JSONDecodeError:
    return CodecExperiment
  is_detection = isinstance(plain, dict) and "detector" in plain
  return DetectionExperiment if is_detection else CodecExperiment
