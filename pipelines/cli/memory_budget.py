"""Pictures that are worked on at once wait for memory, where there is not enough."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class MemoryBudget:
  """What several threads may take together.

  Args:
    total_bytes: None has no bound.
  """

  def __init__(self, total_bytes: int | None):
    self._total_bytes = total_bytes
    self._taken_bytes = 0
    self._changed = threading.Condition()

  @contextlib.contextmanager
  def take(self, num_bytes: int) -> Iterator[None]:
    """Waits until there is room; who is alone gets it whatever it takes."""
    if self._total_bytes is None:
      yield
      return
    with self._changed:
      while self._taken_bytes and self._taken_bytes + num_bytes > self._total_bytes:
        self._changed.wait()
      self._taken_bytes += num_bytes
    try:
      yield
    finally:
      with self._changed:
        self._taken_bytes -= num_bytes
        self._changed.notify_all()
