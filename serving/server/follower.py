"""Keeps the live model at what the alias names, without a request failing for it."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import logging
from collections.abc import Callable

from hardmine.serving.server.live_model import LiveModel
from hardmine.serving.server.loaded_model import LoadedModel, load_model
from hardmine.serving.server.metrics import Metrics
from hardmine.serving.store.catalogue import Catalogue

_LONGEST_WAIT_SECONDS = 300.0
_MOST_DOUBLINGS = 30
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
  """Why the alias is not followed at present.

  Attributes:
    version: that was not taken; None where the alias itself could not be read.
    message: one line.
    since: ISO 8601, UTC.
  """

  version: int | None
  message: str
  since: str


class Follower:
  """Polls an alias, loads what it names beside the live model, then switches.

  Attributes:
    alias: that is followed.
    loading: the version that is being loaded, or None.
    problem: None while all is well.
  """

  def __init__(
    self,
    store: Catalogue,
    alias: str,
    live: LiveModel,
    metrics: Metrics,
    *,
    poll_seconds: float,
    load: Callable[[Catalogue, int], LoadedModel] = load_model,
  ):
    self.alias = alias
    self.loading: int | None = None
    self.problem: Problem | None = None
    self._store, self._live, self._metrics = store, live, metrics
    self._poll_seconds, self._load = poll_seconds, load
    self._attempts = 0  # at the version of `problem`
    self._next_attempt = 0.0  # on the event loop's clock

  async def run(self) -> None:
    """Follows until it is cancelled."""
    while True:
      try:
        await self.poll()
      except Exception:  # whatever it is, the next look may be luckier
        _log.exception("%s could not be followed", self.alias)
      await asyncio.sleep(self._poll_seconds)

  async def poll(self) -> None:
    """Looks once, and switches where the alias has moved; raises nothing."""
    try:
      # In a thread, as all of the store's work: it may lie across a network.
      aliases = await asyncio.to_thread(self._store.aliases)
    except Exception as error:
      self._metrics.store_errors.inc()
      self._complain(None, f"the store cannot be read: {_line(error)}")
      return
    number = aliases.get(self.alias)
    if number is None:
      known = ", ".join(sorted(aliases)) or "none"
      self._complain(
        None, f"no alias {self.alias!r} in the store, which has: {known}; looking on"
      )
      return
    current = self._live.current
    if current is not None and current.number == number:
      self._all_is_well()
      return
    failed_before = self.problem is not None and self.problem.version == number
    if failed_before and asyncio.get_running_loop().time() < self._next_attempt:
      return
    await self._take(number)

  async def _take(self, number: int) -> None:
    self.loading = number
    try:
      model = await asyncio.to_thread(self._load, self._store, number)
    except Exception as error:
      self._metrics.load_failures.inc()
      self._complain(number, f"version {number} is not taken: {_line(error)}")
      self._attempts = min(self._attempts + 1, _MOST_DOUBLINGS)
      wait_seconds = min(
        self._poll_seconds * 2.0**self._attempts, _LONGEST_WAIT_SECONDS
      )
      self._next_attempt = asyncio.get_running_loop().time() + wait_seconds
      return
    finally:
      self.loading = None
    before = self._live.current
    self._live.switch(model)
    self._metrics.show_model(model, self.alias)
    self._all_is_well()
    _log.info(
      "%s %s: version %d, model %s, on %s%s",
      self.alias,
      model.kind,
      number,
      model.model_id,
      model.runtime,
      "" if before is None else f", was version {before.number}",
    )

  def _all_is_well(self) -> None:
    if self.problem is not None:
      _log.info("%s is followed again", self.alias)
    self.problem, self._attempts = None, 0
    self._metrics.following.set(1)

  def _complain(self, version: int | None, message: str) -> None:
    self._metrics.following.set(0)
    if self.problem is not None and self.problem.version == version:
      if self.problem.message == message:
        return  # said already
    else:
      self._attempts = 0
    _log.error("%s: %s", self.alias, message)
    since = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    self.problem = Problem(version=version, message=message, since=since)


def _line(error: Exception) -> str:
  """An exception in one line, never empty."""
  text = " ".join(str(error).split()) or type(error).__name__
  return text if len(text) <= 500 else f"{text[:500]}..."
