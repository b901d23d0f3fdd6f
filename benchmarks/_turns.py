"""Processes that are asked in turns, so that a busy machine is slow for all alike.

Nothing but the standard library: it also runs where Hardmine is not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

_READY = "ready"


class Worker:
  """A program with so many processors, which `answer`s.

  Args:
    command: that starts it.
    num_threads: processors that it may use.

  Raises:
    RuntimeError: it ended before it was ready; what it said is on standard error.
  """

  def __init__(self, command: Sequence[str], num_threads: int):
    environment = {
      **os.environ,
      "TF_CPP_MIN_LOG_LEVEL": "3",
      "OPENBLAS_NUM_THREADS": str(num_threads),
      "OMP_NUM_THREADS": str(num_threads),
    }
    self._process = subprocess.Popen(
      # bound before any library counts the processors
      ["taskset", "-c", _processors(num_threads), *command],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=environment,
    )
    if self._line() != _READY:
      raise RuntimeError(f"Expected a process that answers. Received: {command}")

  def seconds(self, work: str) -> float:
    """That a piece of work took."""
    assert self._process.stdin is not None
    self._process.stdin.write(f"{work}\n")
    self._process.stdin.flush()
    return float(self._line())

  def close(self) -> None:
    """Ends it."""
    self._process.communicate()

  def _line(self) -> str:
    assert self._process.stdout is not None
    return self._process.stdout.readline().strip()


def answer(work: Mapping[str, Callable[[], object]]) -> None:
  """Does what standard input asks for, and prints the seconds it took."""
  print(_READY, flush=True)
  for line in sys.stdin:
    started = time.perf_counter()
    work[line.strip()]()
    print(time.perf_counter() - started, flush=True)


def in_turns(
  workers: Mapping[str, Worker], works: Sequence[str], repeats: int
) -> dict[tuple[str, str], float]:
  """Seconds of every worker's every piece of work: the best of some."""
  best: dict[tuple[str, str], float] = {}
  for _ in range(repeats):
    for work in works:
      for name, worker in workers.items():
        seconds = worker.seconds(work)
        best[name, work] = min(best.get((name, work), seconds), seconds)
  return best


def _processors(count: int) -> str:
  return ",".join(map(str, sorted(os.sched_getaffinity(0))[:count]))
