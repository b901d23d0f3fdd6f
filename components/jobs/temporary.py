"""Temporary files of libraries that do not remove their own."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
  """Temporary files of this process go into a folder that goes with the block.

  Those of other threads too: they must not need them for longer.
  """
  with (
    _ONE_AT_A_TIME,
    tempfile.TemporaryDirectory(prefix="hardmine-", ignore_cleanup_errors=True) as own,
  ):
    before, tempfile.tempdir = tempfile.tempdir, own
    try:
      yield own
    finally:
      tempfile.tempdir = before
