"""INT, TERM and HUP as one exception, so that what is half made is put away."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Supervisors and impatient people send several; the way out takes seconds.
_ONCE_SECONDS = 5.0
_SOON_SECONDS = 0.01


class Signalled(KeyboardInterrupt):
  """A signal asks the process to end."""


@contextlib.contextmanager
def signals_raise() -> Iterator[list[int]]:
  """Has the first signal raise `Signalled` wherever the main thread is.

  Another within five seconds does nothing, as it would break off the putting away; a
  later one raises again, should a library have swallowed the first. Where Python itself
  swallows it, as in the callbacks of every import, it is raised again at once. What the
  process was told to ignore, as by `nohup`, stays ignored.

  Yields:
    The numbers of the signals that have come so far.
  """
  came: list[int] = []
  if threading.current_thread() is not threading.main_thread():
    yield came  # signals are somebody else's business
    return
  last = -math.inf

  def leave(number: int, frame: object) -> None:
    nonlocal last
    came.append(number)
    if time.monotonic() - last >= _ONCE_SECONDS:
      last = time.monotonic()
      raise Signalled

  def look(unraisable: sys.UnraisableHookArgs) -> None:
    nonlocal last
    if unraisable.exc_type is not Signalled:
      hook(unraisable)
      return
    last = -math.inf
    main = threading.main_thread().ident
    soon = threading.Timer(_SOON_SECONDS, signal.pthread_kill, (main, came[0]))
    soon.daemon = True
    soon.start()

  hook, sys.unraisablehook = sys.unraisablehook, look
  before = {
    number: signal.signal(number, leave)
    for number in _SIGNALS
    if signal.getsignal(number) != signal.SIG_IGN
  }
  try:
    yield came
  finally:
    sys.unraisablehook = hook
    for number, handler in before.items():
      signal.signal(number, handler)
