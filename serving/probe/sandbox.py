"""Runs a command that may hang, crash or eat the memory, and says how it went.

Time and memory are watched from outside: a limit on address space
(RLIMIT_AS) would refuse the large reservations that TensorFlow never touches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.1
_MAX_OUTPUT_BYTES = 64 << 20  # of stdout and of stderr
_TAIL_BYTES = 64 << 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """How a command went.

  Attributes:
    passed: it ended by itself with status 0.
    reason: one line; of a failure the limit it broke, its signal, or the last
      line it wrote to stderr.
    last_line: of its stdout, or "".
    seconds: wall-clock time.
    peak_bytes: largest resident memory seen of its whole process group; 0 where
      there is no /proc to see it in.
  """

  passed: bool
  reason: str
  last_line: str
  seconds: float
  peak_bytes: int


def run_limited(
  command: list[str], *, timeout_seconds: float, memory_bytes: int
) -> Outcome:
  """Runs a command in a process group that is gone when this returns.

  Args:
    command: program and arguments; its stdin stays open as long as we live.
    timeout_seconds: after it the whole group is killed.
    memory_bytes: resident memory of the group above which it is killed.
  """
  started = time.monotonic()
  peak_bytes, broken = 0, ""
  with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
    outputs = (stdout, stderr)
    process = subprocess.Popen(
      command,
      stdin=subprocess.PIPE,
      stdout=stdout,
      stderr=stderr,
      start_new_session=True,  # a group of its own, to be killed as one
    )
    try:
      while process.poll() is None and not broken:
        peak_bytes = max(peak_bytes, _resident_bytes(process.pid))
        if peak_bytes > memory_bytes:
          broken = f"used {_mib(peak_bytes)}, more than {_mib(memory_bytes)}"
        elif max(os.fstat(f.fileno()).st_size for f in outputs) > _MAX_OUTPUT_BYTES:
          broken = f"wrote more than {_mib(_MAX_OUTPUT_BYTES)} of text"
        elif time.monotonic() - started > timeout_seconds:
          broken = f"no answer within {timeout_seconds:g} s"
        else:
          time.sleep(_POLL_SECONDS)
    finally:
      with contextlib.suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
      process.wait()
      if process.stdin:
        process.stdin.close()
    said, complained = last_line(stdout), last_line(stderr)
  status = process.returncode
  if not broken and status > 0:
    broken = complained
  if not broken and status != 0:
    broken = how_it_ended(status)
  return Outcome(
    passed=not broken,
    reason=broken or "answered",
    last_line=said,
    seconds=time.monotonic() - started,
    peak_bytes=peak_bytes,
  )


def how_it_ended(status: int) -> str:
  """A `Popen.returncode` in words, such as `died of SIGKILL`."""
  if status >= 0:
    return f"left with status {status}"
  try:
    return f"died of {signal.Signals(-status).name}"
  except ValueError:  # real-time signals have no names
    return f"died of signal {-status}"


def tail(file: IO[bytes]) -> str:
  """The end of what a process that is gone has written into a file."""
  file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
  return file.read().decode("utf-8", "replace").strip()


def last_line(file: IO[bytes]) -> str:
  """The last line of it, or ""."""
  lines = tail(file).splitlines()
  return lines[-1].strip()[:500] if lines else ""


def _resident_bytes(group: int) -> int:
  """Resident memory of a process group; a process that just left counts 0."""
  total = 0
  for stat in Path("/proc").glob("[0-9]*/stat"):
    try:
      # Fields after the name, which may itself hold spaces and brackets.
      fields = stat.read_text("latin-1").rpartition(")")[2].split()
    except OSError:
      continue
    if int(fields[2]) == group:  # pgrp
      total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")  # rss
  return total


def _mib(count: int) -> str:
  return f"{count >> 20} MiB"
