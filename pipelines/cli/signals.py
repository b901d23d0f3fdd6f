"""INT, TERM and HUP as one exception, so that what is half made is put away."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Supervisors and impatient people send several; the way out takes seconds.
_ONCE_SECONDS = 5.0


class Signalled(KeyboardInterrupt):
  """A signal asks the process to end."""


@contextlib.contextmanager
def signals_raise() -> Iterator[list[int]]:
  """Has the first signal raise `Signalled` wherever the main thread is.

  Another within five seconds does nothing, as it would break off the putting away; a
  later one raises again, should a library have swallowed the first. What the process
  was told to ignore, as by `nohup`, stays ignored.

  Yields:
    The numbers of the signals that have come so far.
  """
  came: list[int] = []
  if threading.current_thread() is not threading.main_thread():
    yield came  # signals are somebody else's business
    return
  last = 0.0

  def leave(number: int, frame: object) -> None:
    nonlocal last
    now = time.monotonic()
    again = bool(came) and now - last < _ONCE_SECONDS
    came.append(number)
    if not again:
      last = now
      raise Signalled

  before = {
    number: signal.signal(number, leave)
    for number in _SIGNALS
    if signal.getsignal(number) != signal.SIG_IGN
  }
  try:
    yield came
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
