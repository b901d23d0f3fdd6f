"""How far a job is, for people who wait."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
_TELL_SECONDS = 10.0
_CLOCK_SECONDS = 1.0


@contextmanager
def progress(verb: str, noun: str, *, quiet: bool) -> Iterator[Progress | None]:
  """A bar on a terminal, a line for every tenth elsewhere, nothing when `quiet`.

  Args:
    verb: what is done, as `mining`.
    noun: to what, as `photographs`.
    quiet: for programs that read the answer.

  Yields:
    What a job calls with (done, total), or None.
  """
  if quiet:
    yield None
  elif sys.stderr.isatty():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (verb, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
      task = bar.add_task(verb, total=None)
      yield lambda done, total: bar.update(task, completed=done, total=total)
  else:
    yield _Lines(verb, noun)


@contextmanager
def waiting(text: str, *, quiet: bool = False) -> Iterator[None]:
  """Says what takes so long, once it does: a clock on a terminal, lines elsewhere.

  Args:
    text: what is done, as `encoding a.jpg`.
    quiet: of several at once, whose progress is told together.
  """
  if quiet:
    yield
    return
  done = threading.Event()
  tell = _show_clock if sys.stderr.isatty() else _tell
  thread = threading.Thread(target=tell, args=(text, done), daemon=True)
  thread.start()
  try:
    yield
  finally:
    done.set()
    thread.join()


def _show_clock(text: str, done: threading.Event) -> None:
  if done.wait(_CLOCK_SECONDS):  # most work is done by then, and rich takes a while
    return
  from rich.console import Console
  from rich.markup import escape
  from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

  columns = (SpinnerColumn(), escape(text), TimeElapsedColumn())
  with Progress(*columns, console=Console(stderr=True), transient=True) as clock:
    clock.add_task(text, total=None)
    done.wait()


def _tell(text: str, done: threading.Event) -> None:
  start = time.monotonic()
  while not done.wait(_TELL_SECONDS):
    seconds = time.monotonic() - start
    print(f"hardmine: {text}: {seconds:.0f} s", file=sys.stderr, flush=True)


class _Lines:
  """Prints when another tenth is done."""

  def __init__(self, verb: str, noun: str):
    self._verb = verb
    self._noun = noun
    self._tenth = -1

  def __call__(self, done: int, total: int) -> None:
    tenth = 10 * done // max(1, total)
    if tenth > self._tenth:
      self._tenth = tenth
      line = f"{self._verb}: {done} of {total} {self._noun}"
      print(line, file=sys.stderr, flush=True)
