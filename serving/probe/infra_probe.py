"""What InfraCheck asks an exported model, in a process of its own.

    python -m hardmine.serving.probe.infra_probe MODEL_DIR

The model is loaded and asked as a user would: on the runtime that is chosen for it,
without TFX or Beam, and unless that runtime is TensorFlow without it. The last line on
stdout is JSON; any exception (and so any exit status but 0) is a refusal whose last
line on stderr says why.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import FACTS_PATHS, kind_of
from hardmine.serving.probe.questions import ask_codec, ask_detector
from hardmine.trainers.runtime.choice import TENSORFLOW, choose_runtime

_Way = tuple[Callable[..., Any], Callable[..., dict[str, Any]]]
_HEAVY = {"apache_beam", "keras", "tensorflow", "tfx"}
_OF_TENSORFLOW = {"keras", "tensorflow"}


def probe(model_dir: str) -> dict[str, Any]:
  """Loads a model and shows it a picture.

  Returns:
    What it is, its id, its runtime, what it answered, and the seconds that took.

  Raises:
    ValueError: the folder holds neither a codec nor a detector.
    RuntimeError: the model answers, but wrongly; or it needs what its runtime does not.
    Exception: whatever loading or calling it raises.
  """
  kind = kind_of(model_dir)
  require(
    kind is not None,
    f"an exported model, with {' or '.join(FACTS_PATHS.values())}",
    model_dir=str(model_dir),
  )
  started = time.monotonic()
  load, ask = _codec() if kind == "codec" else _detector()
  imported = time.monotonic()
  runtime = choose_runtime(model_dir)
  model = load(model_dir, runtime)
  load_seconds = time.monotonic() - imported
  answer = ask(model, every_signature=True)
  allowed = _OF_TENSORFLOW if runtime == TENSORFLOW else set()
  heavy = sorted((_HEAVY - allowed) & set(sys.modules))
  if heavy:
    raise RuntimeError(f"serving the model imported {', '.join(heavy)}")
  seconds = time.monotonic() - started
  return {
    "kind": kind,
    "runtime": runtime,
    **answer,
    "load_seconds": round(load_seconds, 3),
    "answer_seconds": round(seconds - load_seconds, 3),
  }


def _codec() -> _Way:
  """How a codec is loaded, and how it is asked."""
  from hardmine.trainers.codec.codec import Codec

  return Codec.load, ask_codec


def _detector() -> _Way:
  from hardmine.trainers.detection.detector import Detector

  return Detector.load, ask_detector


def _die_with_parent() -> None:
  """Leaves when stdin closes, which a parent's death does in every case."""

  def wait():
    while os.read(0, 1):  # sys.stdin's lock would abort the interpreter's shutdown
      pass
    os._exit(1)

  threading.Thread(target=wait, daemon=True).start()


def main() -> None:
  """Asks the model of the folder that the first argument names."""
  _die_with_parent()
  print(json.dumps(probe(sys.argv[1])), flush=True)


if __name__ == "__main__":
  main()
