"""Which errors say nothing of a model: the machine's, and not its.

A model that fails is judged, and that verdict stays. An error of the machine, as a
package that is missing or a disk that is full, is no verdict: the node fails, and the
next run tries again.
"""

from __future__ import annotations

import builtins
import errno
import re

_KINDS = (ImportError, MemoryError)
_NAMES = {"ResourceExhaustedError"}  # TensorFlow's word for no more memory
_SAID = re.compile(r"([\w.]+):(?: \[Errno (\d+)\])?")
_KILLED = re.compile(r"died of SIG(KILL|TERM|INT|HUP)")  # by others: no limit of ours


def is_of_machine(error: BaseException) -> bool:
  """Whether an error is the machine's; files that a model lacks are the model's."""
  if isinstance(error, OSError) and error.errno is not None:
    return error.errno != errno.ENOENT
  return isinstance(error, _KINDS) or type(error).__name__ in _NAMES


def says_of_machine(line: str) -> bool:
  """The same of an error that a process left as its last line, `Name: message`."""
  if _KILLED.match(line):
    return True
  said = _SAID.match(line)
  if said is None:
    return False
  name = said[1].rpartition(".")[2]
  kind = getattr(builtins, name, None)
  if name in _NAMES:
    return True
  if not isinstance(kind, type):
    return False
  if issubclass(kind, OSError) and said[2]:
    return int(said[2]) != errno.ENOENT
  return issubclass(kind, _KINDS)
