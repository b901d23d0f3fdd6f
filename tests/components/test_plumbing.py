"""Which errors are the machine's, said by an exception or by a process' last line."""

from __future__ import annotations

import errno
import traceback

import pytest

from hardmine.components.infra_check import require_asked
from hardmine.components.plumbing import is_of_machine, says_of_machine
from hardmine.serving.probe.sandbox import Outcome


class ResourceExhaustedError(Exception):
  """As TensorFlow calls it."""


OF_MACHINE = [
  ImportError("cannot import name 'SystemRandom' from 'random'"),
  ModuleNotFoundError("No module named 'onnxruntime'"),
  MemoryError(),
  OSError(errno.ENOSPC, "No space left on device"),
  PermissionError(errno.EACCES, "Permission denied"),
  OSError(errno.EMFILE, "Too many open files"),
  ResourceExhaustedError("OOM when allocating tensor"),
]
OF_MODEL = [
  FileNotFoundError(errno.ENOENT, "No such file", "variables.index"),
  OSError("SavedModel file does not exist at: x/{saved_model.pbtxt|saved_model.pb}"),
  ValueError("Expected an exported model"),
  RuntimeError("serving the model imported tfx"),
  FloatingPointError("the decoder gave NaN"),
  KeyError("decode"),
]


def last_line(error: Exception) -> str:
  """As Python writes it when nobody catches it."""
  return traceback.format_exception_only(type(error), error)[-1].strip()


@pytest.mark.parametrize("error", OF_MACHINE, ids=last_line)
def test_errors_of_the_machine_say_nothing_of_a_model(error):
  assert is_of_machine(error)
  assert says_of_machine(last_line(error) + ("" if str(error) else ": "))


@pytest.mark.parametrize("error", OF_MODEL, ids=last_line)
def test_errors_of_the_model_are_judged(error):
  assert not is_of_machine(error)
  assert not says_of_machine(last_line(error))


@pytest.mark.parametrize(
  ("line", "is_machines"),
  [
    ("died of SIGKILL", True),  # of the kernel, out of memory
    ("died of SIGTERM", True),
    ("died of SIGABRT", False),
    ("died of SIGSEGV", False),
    ("no answer within 300 s", False),
    ("used 9000 MiB, more than 8192 MiB", False),
    ("left with status 3", False),
    ("", False),
  ],
)
def test_how_a_process_ended_tells_whose_fault_it_was(line, is_machines):
  assert says_of_machine(line) is is_machines


def outcome(reason: str, passed: bool = False) -> Outcome:
  return Outcome(passed=passed, reason=reason, last_line="", seconds=1, peak_bytes=0)


def test_a_check_that_could_not_ask_fails_and_gives_no_verdict():
  with pytest.raises(RuntimeError, match=r"says nothing of it: ImportError: .*doctor"):
    require_asked(outcome("ImportError: cannot import name 'SystemRandom'"))
  require_asked(outcome("no answer within 300 s"))  # which is a verdict
  require_asked(outcome("answered", passed=True))
