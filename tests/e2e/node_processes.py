"""`hardmine` commands as processes of their own that need not import TFX first.

TFX takes half a minute to import. A process that has done so forks a child for every
command: another process id, working folder, lock and connection, as a scheduler's tasks
have, at once. Run as a program, this file is that process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

IMPORTED = (
  "tfx.v1",
  "hardmine.components.codec_evaluator.component",
  "hardmine.components.infra_check",
  "hardmine.components.patch_gen.component",
  "hardmine.components.pusher",
  "hardmine.pipelines.graphs",
  "hardmine.pipelines.orchestrators.launching",
  "hardmine.trainers.codec.run_fn",
)
DETECTION = (
  *IMPORTED,
  "hardmine.components.coco_gen.component",
  "hardmine.components.detection_evaluator.component",
  "hardmine.trainers.detection.run_fn",
)


@dataclasses.dataclass
class Command:
  """A command that was started.

  Attributes:
    pid: its process, the leader of a group.
    output: what it wrote to either stream, so far.
    status: how it ended, negative for a signal; None while it runs.
  """

  words: list[str]
  path: Path
  pid: int = 0
  status: int | None = None
  started: threading.Event = dataclasses.field(default_factory=threading.Event)
  ended: threading.Event = dataclasses.field(default_factory=threading.Event)

  @property
  def output(self) -> str:
    return self.path.read_text()

  def wait(self) -> int:
    """How it ended."""
    assert self.ended.wait(300), self.output
    assert self.status is not None
    return self.status

  def kill(self, number: int = signal.SIGKILL) -> None:
    """Sends its process group a signal."""
    assert self.started.wait(60)
    os.killpg(self.pid, number)


class Nodes:
  """Starts commands; safe to use from several threads."""

  def __init__(self, process: subprocess.Popen, folder: Path):
    self._process, self._folder = process, folder
    self._lock = threading.Lock()
    self._commands: list[Command] = []
    threading.Thread(target=self._listen, daemon=True).start()

  def start(self, *words: str, cwd: Path | None = None) -> Command:
    """Starts `hardmine WORDS`."""
    with self._lock:
      path = self._folder / f"{len(self._commands)}.log"
      path.touch()
      command = Command(list(words), path)
      order = {"words": words, "path": str(path), "cwd": str(cwd or self._folder)}
      order["number"] = len(self._commands)
      self._commands.append(command)
      self._process.stdin.write(f"{json.dumps(order)}\n")
      self._process.stdin.flush()
    return command

  def run(self, *words: str, cwd: Path | None = None) -> Command:
    """Runs `hardmine WORDS` to its end."""
    command = self.start(*words, cwd=cwd)
    command.wait()
    return command

  def _listen(self) -> None:
    for line in self._process.stdout:  # until the process ends
      told = json.loads(line)
      command = self._commands[told["number"]]
      if "pid" in told:
        command.pid = told["pid"]
        command.started.set()
      else:
        command.status = told["status"]
        command.ended.set()
    for command in self._commands:
      command.ended.set()


@contextlib.contextmanager
def node_processes(folder: Path, imported: Sequence[str] = IMPORTED) -> Iterator[Nodes]:
  """Gives what starts commands, with the environment of now.

  Args:
    folder: of what they write to their streams.
    imported: modules that none of them need import.
  """
  process = subprocess.Popen(
    [sys.executable, __file__, *imported],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=open(folder / "nodes.err", "w"),  # noqa: SIM115 - the process's own
    text=True,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
  )
  nodes = Nodes(process, folder)
  try:
    yield nodes
  finally:
    process.stdin.close()
    process.wait()


def _serve() -> None:
  """Forks a child for every line of standard input, until that ends."""
  import importlib

  for name in sys.argv[1:]:
    importlib.import_module(name)
  gc.freeze()  # a child that looked for garbage would copy all of it
  running: dict[int, int] = {}  # numbers by process
  answers = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)
  lines, rest = [], b""
  while True:
    if select.select([0], [], [], 0.05)[0]:
      content = os.read(0, 65536)
      if not content:
        break
      *lines, rest = (rest + content).split(b"\n")
      for line in lines:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
          os.close(0)
          _be(order)
        running[pid] = order["number"]
        _say(answers, number=order["number"], pid=pid)
    while running:
      pid, status = os.waitpid(-1, os.WNOHANG)
      if not pid:
        break
      _say(answers, number=running.pop(pid), status=os.waitstatus_to_exitcode(status))
  for pid in running:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(pid, signal.SIGKILL)


def _say(answers, **told) -> None:
  print(json.dumps(told), file=answers, flush=True)


def _be(order: dict) -> None:
  """Becomes the command, and never comes back."""
  os.setsid()
  os.chdir(order["cwd"])
  log = os.open(order["path"], os.O_WRONLY | os.O_APPEND)
  os.dup2(log, 1)
  os.dup2(log, 2)
  status = 1
  try:
    from hardmine.pipelines.cli.main import main

    status = main(order["words"])
  except SystemExit as stop:
    status = stop.code if isinstance(stop.code, int) else 1
  except BaseException:
    import traceback

    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
  _serve()
