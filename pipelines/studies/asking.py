"""Work that a process of its own does, so that its memory and its end are its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

# Without the current folder, whose modules are no code of ours.
_WORKER = (
  "import sys; sys.path[:] = filter(None, sys.path); "
  "from hardmine.pipelines.studies.worker import main; sys.exit(main())"
)
_LONGEST_REASON = 300


class Failed(Exception):
  """What was asked for could not be done; says why, in a line."""


def ask(request: dict[str, Any], *, limit_seconds: float) -> Any:
  """What the process answers; it ends with this call, however that ends.

  Args:
    request: JSON values, see `worker`.
    limit_seconds: it is ended after so many.

  Raises:
    Failed: it has died, or said why it could not.
  """
  process = subprocess.Popen(
    [sys.executable, "-c", _WORKER],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    errors="replace",
    start_new_session=True,  # an interrupt is for who asks
  )
  try:
    answer, said = process.communicate(json.dumps(request), limit_seconds)
  except subprocess.TimeoutExpired as error:
    raise Failed(
      f"took more than {limit_seconds:g} s; --limit-seconds allows more"
    ) from error
  finally:
    process.kill()
    process.wait()
  if process.returncode == 0:
    return json.loads(answer.splitlines()[-1])
  raise Failed(_reason(process.returncode, said))


def _reason(status: int, said: str) -> str:
  lines = [line.strip() for line in said.splitlines() if line.strip()]
  if status < 0:
    likely = ", perhaps for want of memory" if status == -9 else ""
    return f"ended by signal {-status}{likely}"
  last = lines[-1] if lines else f"ended with status {status}"
  return last if len(last) <= _LONGEST_REASON else f"{last[:_LONGEST_REASON]}…"
