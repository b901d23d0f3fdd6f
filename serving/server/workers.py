"""The threads that models work in, and the bounded line before them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from hardmine.serving.server.limits import Limits
from hardmine.serving.server.refusals import CLIENT_GONE, Refusal

T = TypeVar("T")
RETRY_AFTER_SECONDS = 1


class Workers:
  """Runs `limits.concurrency` calls at a time and lets `max_waiting` more wait.

  Attributes:
    num_inside: requests that have a place, late work that nobody waits for included.
  """

  def __init__(self, limits: Limits):
    self._limits = limits
    self.num_inside = 0
    self._pool = ThreadPoolExecutor(limits.concurrency, "hardmine-model")

  @contextlib.contextmanager
  def place(self) -> Iterator[None]:
    """A place in the line, taken before a body is read, so that bodies are bounded.

    Raises:
      Refusal: there is none.
    """
    if self.num_inside >= self._limits.concurrency + self._limits.max_waiting:
      raise Refusal(
        503,
        "busy",
        f"{self.num_inside} requests are being answered or wait; try again",
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
      )
    self.num_inside += 1
    try:
      yield
    finally:
      self.num_inside -= 1

  async def run(
    self,
    work: Callable[[], T],
    request: Request,
    deadline: float,
    held: contextlib.ExitStack,
  ) -> T:
    """Calls `work` in a thread, while somebody waits for it and until the deadline.

    A thread cannot be stopped: work that has begun keeps what is `held`, its place
    among it, to its end, though its answer comes too late.

    Args:
      work: the call.
      request: whose body was read; its client may go away.
      deadline: on the event loop's clock.
      held: what to release when the work has ended.

    Raises:
      Refusal: too late, or nobody is there any more.
    """
    queued = self._pool.submit(work)
    answer = asyncio.wrap_future(queued)
    gone = asyncio.ensure_future(_until_gone(request))
    try:
      seconds = deadline - asyncio.get_running_loop().time()
      await asyncio.wait(
        {answer, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
      )
      if answer.done():
        return answer.result()
      never_began = queued.cancel()
      if not never_began:
        answer.add_done_callback(_release_at_end(held.pop_all()))
      if gone.done():
        raise Refusal(CLIENT_GONE, "client_gone", "The client went away")
      if never_began:
        raise Refusal(
          503,
          "busy",
          f"No turn came within {self._limits.timeout_seconds:g} seconds; try again",
          {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
      raise Refusal(
        504,
        "too_slow",
        f"There is no answer after {self._limits.timeout_seconds:g} seconds; a smaller "
        "image or fewer iterations take less",
      )
    finally:
      gone.cancel()

  def close(self) -> None:
    """Lets calls that have begun end, and drops the others."""
    self._pool.shutdown(wait=False, cancel_futures=True)


def _release_at_end(held: contextlib.ExitStack) -> Callable[[asyncio.Future], None]:
  def release(answer: asyncio.Future) -> None:
    held.close()
    if not answer.cancelled():
      answer.exception()  # looked at, or asyncio complains that nobody did

  return release


async def _until_gone(request: Request) -> None:
  """Returns when the client has closed the connection."""
  while (await request.receive())["type"] != "http.disconnect":
    pass
