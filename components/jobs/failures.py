"""Why a Beam job failed, in one line; the rest is for its log."""

from __future__ import annotations

import builtins
import contextlib
import logging
import re
from collections.abc import Iterator

_LOGGER = logging.getLogger(__name__)
_PLACE = re.compile(r" \[while running .*\]$")  # what Beam adds to a message
_NAMED = re.compile(r"(\w+): (.+)", re.DOTALL)
_OF_A_FILE = re.compile(r"^\[Errno \d+\] (.*): '(.*)'$")
# Their messages speak for themselves.
_PLAIN = (OSError, RuntimeError, ValueError)


class JobFailed(RuntimeError):
  """A job's work failed in the process, or in one of the processes, that did it."""


@contextlib.contextmanager
def one_line_failures() -> Iterator[None]:
  """Turns what any runner raises into a `JobFailed`; what it said is logged.

  Beam raises a RuntimeError whose message is the worker's traceback.
  """
  try:
    yield
  except RuntimeError as error:
    _LOGGER.error("the job failed", exc_info=True)
    raise JobFailed(reason(str(error))) from None


def reason(text: str) -> str:
  """The error at the end of a traceback; any other text as it is, in one line.

  Its class is told where the message alone would not say enough.
  """
  lines = text.rstrip().splitlines()
  inside = [number for number, line in enumerate(lines) if line.startswith(" ")]
  if "Traceback (most recent call last):" in text and inside:
    lines = lines[inside[-1] + 1 :] or lines[-1:]
  line = _PLACE.sub("", " ".join(map(str.strip, lines)))
  while (found := _NAMED.match(line)) and _is_plain(found[1]):
    line = found[2]  # Beam may put the class before its own message once more
  return _OF_A_FILE.sub(r"\2: \1", line)


def _is_plain(name: str) -> bool:
  kind = getattr(builtins, name, None)
  return isinstance(kind, type) and issubclass(kind, _PLAIN)
