"""How far a job has come, seen from outside: that works with any runner and workers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from hardmine.components.jobs.shard_job import PARTS, PLAN, Workplace

_POLL_SECONDS = 0.2
_POLL_SHARE = 0.02  # of the time, for listing a bucket over and over

Progress = Callable[[int, int], None]  # (images done, images)


@contextlib.contextmanager
def watched(place: Workplace, on_progress: Progress | None) -> Iterator[None]:
  """Calls `on_progress` while a block runs, as files of parts appear."""
  if on_progress is None:
    yield
    return
  stop = threading.Event()
  watch = _Watch(place, on_progress)

  def look() -> None:
    pause = _POLL_SECONDS
    while not stop.wait(pause):
      start = time.monotonic()
      with contextlib.suppress(Exception):  # whoever works there tells of it
        watch.look()
      pause = max(_POLL_SECONDS, (time.monotonic() - start) / _POLL_SHARE)

  thread = threading.Thread(target=look, daemon=True)
  thread.start()
  try:
    yield
    watch.look(is_over=True)
  finally:
    stop.set()
    thread.join()


class _Watch:
  """Counts the images of parts that are there, or were: joined ones go."""

  def __init__(self, place: Workplace, on_progress: Progress):
    self._place, self._on_progress = place, on_progress
    self._total: int | None = None
    self._done = 0

  def look(self, is_over: bool = False) -> None:
    total = self._total
    if total is None:
      if not self._place.scratch.exists(PLAN):
        return
      total = self._total = int(self._place.told(PLAN)["images"])
    names = self._place.scratch.names(PARTS)
    endings = (name.rpartition(".")[2] for name in names if name[:1] != ".")
    self._done = total if is_over else max(self._done, sum(map(int, endings)))
    self._on_progress(self._done, total)
