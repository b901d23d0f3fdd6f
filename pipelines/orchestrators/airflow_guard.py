"""Stands between a scheduler's task and the command that it runs.

    guard GRACE_SECONDS PARENT_PID COMMAND [WORD ...]

It ends with the command's exit status, 128 + n where signal n ended that, and never
before the command's whole process group is gone. The group is asked to end (SIGTERM,
so that it cancels what it has elsewhere), and killed after the grace, when this process
is asked to, and when its parent is gone, however that died.

A DAG file carries this text with it, so that it needs nothing but Python 3.8.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_POLL_SECONDS = 0.5
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def guard(grace_seconds, parent_pid, command):
  """Runs a command, and ends it when it has to end.

  Args:
    grace_seconds: between SIGTERM and SIGKILL.
    parent_pid: of the process without which the command is to end.
    command: the words of the command.

  Returns:
    Its exit status, 128 + n for signal n, 127 where it cannot be started.
  """
  wake, wakes = os.pipe()
  for end in (wake, wakes):
    os.set_blocking(end, False)
  signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
  asked = []
  for number in _ENDINGS:
    signal.signal(number, lambda number, frame: asked.append(number))
  signal.signal(signal.SIGCHLD, lambda number, frame: None)
  libc = ctypes.CDLL(None)

  def die_with_the_guard():
    if sys.platform == "linux":
      libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

  try:
    process = subprocess.Popen(
      command,
      stdin=subprocess.DEVNULL,
      start_new_session=True,
      preexec_fn=die_with_the_guard,
    )
  except OSError as error:
    print(f"{command[0]} cannot be started here: {error.strerror}", flush=True)
    return 127
  deadline = None
  while process.poll() is None:
    if deadline is None and (asked or os.getppid() != parent_pid):
      process.terminate()
      deadline = time.monotonic() + grace_seconds
    elif deadline is not None and time.monotonic() > deadline:
      _kill_group(process.pid)
    select.select([wake], [], [], _POLL_SECONDS)
    with contextlib.suppress(BlockingIOError):
      os.read(wake, 4096)
  _kill_group(process.pid)  # what the command has left behind
  status = process.returncode
  return status if status >= 0 else 128 - status


def _kill_group(group):
  with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
    os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
  sys.exit(guard(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
