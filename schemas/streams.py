"""Standard streams that can be closed, full, or unable to show a letter."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class _Raw(io.FileIO):
  """A standard stream that swallows what cannot be written, and remembers why.

  Attributes:
    error: the first failure but that of a pipe whose reader has left, which has what
      it wanted.
  """

  error: OSError | None = None

  def write(self, data) -> int:
    try:
      return super().write(data)  # pyright: ignore[reportReturnType]
    except BrokenPipeError:
      pass
    except OSError as error:
      self.error = self.error or error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, self.fileno())
    os.close(nowhere)
    return len(data)


class Streams:
  """Takes the place of `sys.stdout` and `sys.stderr`, so that no work is lost by them.

  Closed ones become /dev/null: else the next file that is opened got their number,
  and what C++ writes there. What an encoding lacks is escaped.
  """

  def __init__(self):
    for number in (0, 1, 2):
      try:
        os.fstat(number)
      except OSError:
        os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    self._out, self._err = _Raw(1, "w", closefd=False), _Raw(2, "w", closefd=False)
    sys.stdout, sys.stderr = _text(self._out, sys.stdout), _text(self._err, sys.stderr)
    if sys.stdin is None:
      sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as we live

  def loss(self) -> OSError | None:
    """Why not all of the standard output was written, None where it was."""
    sys.stdout.flush()
    return self._out.error


def _text(raw: _Raw, before: TextIO | None) -> io.TextIOWrapper:
  unbuffered = getattr(before, "write_through", False)
  return io.TextIOWrapper(
    io.BufferedWriter(raw),
    encoding=getattr(before, "encoding", None) or "utf-8",
    errors="backslashreplace",
    line_buffering=unbuffered or raw.isatty() or raw.fileno() == 2,
  )
