"""The process that `asking` starts: reads a request as JSON, answers with a line of it.

`do` says what, and the rest is what the function behind it asks for:

* `export`: a network's light form (`tensorflow_parts.export`)
* `time`: of each part of a detection (`timing.timed`)
* `convert`: annotated images to records (`precision.converted`)
* `evaluate`: what a trained model finds in these (`precision.evaluated`)
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

_WATCH_SECONDS = 1.0


def main() -> int:
  """Does what standard input asks for."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
  request = json.load(sys.stdin)
  answer_to = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)  # whatever libraries print is no answer
  try:
    answer = _done(request)
  except Exception as error:  # any of any library: its line is the row's reason
    print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
    return 1
  print(json.dumps(answer), file=answer_to, flush=True)
  return 0


def _end_with(parent: int) -> None:
  """Nobody waits for an answer once whoever asked was killed."""
  while os.getppid() == parent:
    time.sleep(_WATCH_SECONDS)
  os._exit(1)


def _done(request: dict[str, Any]) -> Any:
  what = request.pop("do")
  if what == "time":
    if request["runtime"] == "tensorflow":
      from hardmine.pipelines.studies.tensorflow_parts import parts
    else:
      from hardmine.pipelines.studies.light_parts import parts
    from hardmine.pipelines.studies.timing import timed

    return timed(request, parts)
  if what == "export":
    from hardmine.pipelines.studies.tensorflow_parts import export

    return export(request)
  from hardmine.pipelines.studies.precision import converted, evaluated

  return (converted if what == "convert" else evaluated)(request)


if __name__ == "__main__":
  sys.exit(main())
