"""Which model answers now, and which older ones still owe an answer.

Used from the event loop's thread alone, so nothing here is locked.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from hardmine.serving.server.loaded_model import LoadedModel


class LiveModel:
  """The reference that moves. A request leases a model and keeps it to its end."""

  def __init__(self):
    self._current: LoadedModel | None = None
    self._leases: dict[int, int] = {}  # id() of every model in memory to its users

  @property
  def current(self) -> LoadedModel | None:
    """The model that the next request gets, for looking at."""
    return self._current

  @property
  def num_in_memory(self) -> int:
    """The current model, and those that were replaced and still work."""
    return len(self._leases)

  @contextlib.contextmanager
  def lease(self) -> Iterator[LoadedModel | None]:
    """The current model, which stays in memory until the block ends."""
    model = self._current
    if model is None:
      yield None
      return
    self._leases[id(model)] += 1
    try:
      yield model
    finally:
      self._leases[id(model)] -= 1
      self._free_if_unused(model)

  def switch(self, model: LoadedModel) -> None:
    """Lets all requests from here on have this model."""
    replaced, self._current = self._current, model
    self._leases[id(model)] = 0
    if replaced is not None:
      self._free_if_unused(replaced)

  def _free_if_unused(self, model: LoadedModel) -> None:
    if model is self._current or self._leases[id(model)]:
      return
    del self._leases[id(model)]
    model.model = None
    gc.collect()  # a SavedModel is full of circles, and may hold gigabytes
