"""What ends a task's command with the task, by real processes and signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardmine.pipelines.orchestrators import airflow_guard

GUARD = Path(airflow_guard.__file__).read_text("utf-8")
GRACE_SECONDS = 1.0
# A command with a child, of which it says the ids; it ends when it is told to.
ORDERLY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
def end(number, frame):
  print("cancelled", flush=True)
  sys.exit(143)
signal.signal(signal.SIGTERM, end)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = ORDERLY.replace("  sys.exit(143)", "  pass").replace(
  "time.sleep(600)", "while True: time.sleep(1)"
)


def words_of(*command, parent=None):
  """The words that start the guard as a DAG file does."""
  parent = os.getpid() if parent is None else parent
  start = [sys.executable, "-I", "-S", "-c", GUARD, str(GRACE_SECONDS), str(parent)]
  return [*start, *command]


@contextlib.contextmanager
def guarded(*command):
  """The guard of a command, as a DAG file starts it; nothing of it stays."""
  process = subprocess.Popen(
    words_of(*command), stdout=subprocess.PIPE, text=True, start_new_session=True
  )
  try:
    yield process
  finally:
    process.terminate()
    process.wait(10)
    process.stdout.close()


def ids_of(process):
  """Of the command and of its child."""
  return [int(word) for word in process.stdout.readline().split()]


def are_gone(pids, seconds=5.0):
  """Whether these processes end in time; one that nobody has reaped has ended."""
  deadline = time.monotonic() + seconds
  while time.monotonic() < deadline:
    if not any(is_running(pid) for pid in pids):
      return True
    time.sleep(0.02)
  return False


def is_running(pid):
  try:
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
  except (FileNotFoundError, ProcessLookupError):
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_the_status_is_that_of_the_command(status):
  with guarded(sys.executable, "-c", f"raise SystemExit({status})") as process:
    assert process.wait(10) == status


def test_a_signal_that_ended_the_command_is_told():
  code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
  with guarded(sys.executable, "-c", code) as process:
    assert process.wait(10) == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_named():
  with guarded("/no/such/hardmine", "run") as process:
    assert process.stdout.read() == (
      "/no/such/hardmine cannot be started here: No such file or directory\n"
    )
    assert process.wait(10) == 127


def test_lines_come_as_they_are_written():
  code = "import time; print('first', flush=True); time.sleep(600)"
  with guarded(sys.executable, "-c", code) as process:
    assert process.stdout.readline() == "first\n"
    assert process.poll() is None


def test_asked_to_end_it_lets_the_command_end_in_order_and_its_children_too():
  with guarded(sys.executable, "-c", ORDERLY) as process:
    pids = ids_of(process)
    process.terminate()
    assert process.stdout.read() == "cancelled\n"
    assert process.wait(10) == 143
    assert are_gone(pids)


def test_a_command_that_does_not_end_is_killed_after_the_grace():
  with guarded(sys.executable, "-c", STUBBORN) as process:
    pids = ids_of(process)
    asked_at = time.monotonic()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert GRACE_SECONDS <= time.monotonic() - asked_at < GRACE_SECONDS + 4
    assert are_gone(pids)


def test_a_stopped_command_is_killed_too():
  with guarded(sys.executable, "-c", ORDERLY) as process:
    pids = ids_of(process)
    os.kill(pids[0], signal.SIGSTOP)
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert are_gone(pids)


def test_a_killed_command_leaves_no_children():
  with guarded(sys.executable, "-c", STUBBORN) as process:
    pids = ids_of(process)
    os.kill(pids[0], signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL
    assert are_gone(pids)


@pytest.mark.parametrize("command", [ORDERLY, STUBBORN], ids=["orderly", "stubborn"])
def test_with_a_killed_parent_everything_ends(command):
  start = (
    "import os, subprocess, sys, time\n"
    "words = sys.argv[1:]\n"
    "words[6] = str(os.getpid())\n"
    "guard = subprocess.Popen(words, start_new_session=True)\n"
    "print(guard.pid, flush=True)\n"
    "time.sleep(600)\n"
  )
  words = words_of(sys.executable, "-c", command, parent=0)
  parent = subprocess.Popen(
    [sys.executable, "-c", start, *words], stdout=subprocess.PIPE, text=True
  )
  with parent:
    guard = int(parent.stdout.readline())
    pids = ids_of(parent)
    assert all(map(is_running, [guard, *pids]))
    parent.kill()
    assert are_gone([guard, *pids])


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_with_a_killed_guard_the_command_is_asked_to_end():
  with guarded(sys.executable, "-c", ORDERLY) as process:
    command, child = ids_of(process)
    process.kill()
    assert process.stdout.readline() == "cancelled\n"
    assert are_gone([command])
    os.kill(child, signal.SIGKILL)  # its own affair, which hardmine sees to
