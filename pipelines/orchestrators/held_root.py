"""What a run in this process holds of its root: the lock, the log, and SIGTERM.

Of a root in a bucket `bucket_root` holds the rest.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hardmine.pipelines.site import Site

_WAIT_SECONDS = 600.0  # of one node, for a run of all nodes


@contextlib.contextmanager
def held_root(
  site: Site,
  *,
  node: str | None = None,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> Iterator[str]:
  """Makes the root where it does not exist, and it ours on this machine until the end.

  Args:
    site: whose root.
    node: the only one that is to run, so that processes of other nodes may hold the
      root too; a run of all nodes is waited for.
    say: told where one is.
    verbose: let the log through to stderr too.

  Yields:
    The path of the log, in which everything written to stderr ends.

  Raises:
    RuntimeError: another run holds the root.
  """
  os.makedirs(site.local_dir, exist_ok=True)
  with (
    _only_run_in(site) if node is None else _one_of_many_in(site, say),
    _log_file(site, node or "run", verbose) as log_path,
    _sigterm_exits(),
  ):
    yield log_path


@contextlib.contextmanager
def sole_holder(site: Site) -> Iterator[None]:
  """Keeps all runs of this machine out of a root, which is no run's own.

  Raises:
    RuntimeError: a run holds the root.
  """
  os.makedirs(site.local_dir, exist_ok=True)
  with _only_run_in(site):
    yield


@contextlib.contextmanager
def _only_run_in(site: Site) -> Iterator[None]:
  """Holds a file's lock, which the system lets go of however the process ends."""
  with open(site.lock_path, "a+", encoding="utf-8") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      raise RuntimeError(_held(site, file)) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} since {_now():%Y-%m-%d %H:%M:%S}")
    file.flush()
    try:
      yield
    finally:
      file.truncate(0)


@contextlib.contextmanager
def _one_of_many_in(site: Site, say: Callable[[str], None]) -> Iterator[None]:
  """Holds the same lock together with the processes of other nodes."""
  with open(site.lock_path, "a+", encoding="utf-8") as file:
    deadline = time.monotonic() + _WAIT_SECONDS
    told = False
    while True:
      try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        break
      except BlockingIOError:
        if time.monotonic() > deadline:
          raise RuntimeError(_held(site, file)) from None
        if not told:
          say(f"a run of all nodes holds {site.root}; waiting for it")
          told = True
        time.sleep(0.5)
    yield


def _held(site: Site, file: IO[str]) -> str:
  file.seek(0)
  who = file.read().strip() or "starting, or nodes that are processes of their own"
  return (
    f"another run holds {site.root} ({who}); wait for it, stop it, or choose another "
    "--root"
  )


@contextlib.contextmanager
def _log_file(site: Site, name: str, verbose: bool) -> Iterator[str]:
  """Sends what TFX, Beam and their C++ parts say to a file, and yields its path.

  The C++ parts write to file descriptor 2 directly, so that is what is turned
  over. Our own lines and the trainer's progress go to stdout.
  """
  from absl import logging as absl_logging

  path = Path(site.logs_dir) / f"{name}-{_now():%Y%m%d-%H%M%S-%f}.log"
  path.parent.mkdir(parents=True, exist_ok=True)
  log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed below
  handler = logging.StreamHandler(log)
  handler.setFormatter(
    logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
  )
  root_logger, verbosity = logging.getLogger(), absl_logging.get_verbosity()
  absl_logging.set_verbosity(absl_logging.INFO)
  replaced = root_logger.handlers  # they would write everything a second time
  root_logger.handlers = [handler]
  if verbose:
    root_logger.addHandler(logging.StreamHandler())
  terminal = os.dup(2)
  try:
    if not verbose:
      sys.stderr.flush()
      os.dup2(log.fileno(), 2)
    yield str(path)
  finally:
    sys.stderr.flush()
    os.dup2(terminal, 2)
    os.close(terminal)
    root_logger.handlers = replaced
    log.close()
    absl_logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _sigterm_exits() -> Iterator[None]:
  """Turns SIGTERM into SystemExit, so that locks, logs and children are put away."""

  def leave(number, frame):
    raise SystemExit(128 + number)

  if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:  # somebody listens already
    yield
    return
  try:
    before = signal.signal(signal.SIGTERM, leave)
  except ValueError:  # not the main thread: signals are somebody else's business
    yield
    return
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


def _now() -> datetime.datetime:
  return datetime.datetime.now()
