"""Beam's runner of this machine, with processes that see our modules alone.

Beam starts its own by `python -m`, which takes modules from wherever one stands, and
waits for ever for one that has died. Ours are watched: one that dies ends the job with
a line. They end with it, however it ends, and hear nothing of a terminal's signals.
One that was stopped (SIGSTOP) is waited for, as somebody wanted it to pause.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms import environments
from google.protobuf import json_format, text_format

from hardmine.serving.probe.sandbox import how_it_ended, last_line, tail

_URN = "hardmine:environment:processes:v1"
_POLL_SECONDS = 0.1
_MOMENT_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0  # for a worker without work to leave by itself
# A worker leaves when its stdin closes, which our death does in every case.
_START = """
import sys
sys.path[:] = {path!r}
import os, runpy, threading
def leave():
  while os.read(0, 1):
    pass
  os._exit(1)
threading.Thread(target=leave, daemon=True).start()
runpy.run_module("apache_beam.runners.worker.sdk_worker_main", run_name="__main__")
"""

_LOGGER = logging.getLogger(__name__)


class WorkerDied(RuntimeError):
  """A process of the job is gone, and its work with it."""


class ProcessRunner(FnApiRunner):
  """`--direct_num_workers` processes, with the `sys.path` of this one.

  `run_pipeline` raises WorkerDied when one of them ends before the job does.
  """

  def run_pipeline(self, pipeline, options):
    path = [place for place in sys.path if place]
    command = [sys.executable, "-c", _START.format(path=path)]
    self._crew = _Crew()
    payload = json.dumps({"command": command, "crew": self._crew.name})
    self._default_environment = _Processes.from_command_string(payload)
    # Any of Beam's own modes would take the place of this environment.
    options.view_as(DirectOptions).direct_running_mode = "processes"
    _CREWS[self._crew.name] = self._crew
    try:
      return super().run_pipeline(pipeline, options)
    finally:
      del _CREWS[self._crew.name]

  def _execute_bundle(self, *args, **kwargs):
    try:
      return super()._execute_bundle(*args, **kwargs)
    except RuntimeError as error:
      # A connection breaks a moment before the process at its other end is gone.
      raise self._crew.death() or error from None


class _Processes(
  environments.SubprocessSDKEnvironment  # pyright: ignore[reportGeneralTypeIssues]
):
  """Beam's, but started by `_Worker`, which reads the command as JSON."""

  def to_runner_api_parameter(self, context):
    return _URN, self.command_string.encode("utf-8")


environments.Environment.register_urn(_URN, bytes)(_Processes)


class _Crew:
  """The workers of one job.

  Attributes:
    name: of this crew alone, in this process.
    workers: in the order in which they were started.
    closing: set when they are wanted no longer.
  """

  def __init__(self):
    self.name = uuid.uuid4().hex
    self.workers: list[_Worker] = []
    self.closing = threading.Event()

  def death(self) -> WorkerDied | None:
    """Of the first worker that has ended, or does so within a moment."""
    deadline = time.monotonic() + _MOMENT_SECONDS
    while True:
      for number, worker in enumerate(self.workers, 1):
        if worker.process.poll() is not None:
          who = f"worker process {number} of {len(self.workers)}"
          return WorkerDied(f"{who} {worker.epitaph()}")
      if time.monotonic() > deadline:
        return None
      time.sleep(_POLL_SECONDS)


_CREWS: dict[str, _Crew] = {}  # at work, by name


class _Worker(worker_handlers.GrpcWorkerHandler):
  """One process, from its start to its end."""

  def __init__(self, payload: bytes, state, provision_info, grpc_server):
    super().__init__(state, provision_info, grpc_server)
    told = json.loads(payload)
    self._command, self._crew = told["command"], _CREWS[told["crew"]]
    # Beam's own would hold up the end of the interpreter, and complain of a death.
    self.control_conn._read_thread = threading.Thread(
      target=self._read_answers, daemon=True
    )

  def start_worker(self) -> None:
    self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop_worker
    self.process = subprocess.Popen(
      self._command,
      stdin=subprocess.PIPE,
      stdout=self._said,
      stderr=self._said,
      env=self._environment(),
      start_new_session=True,  # out of reach of the terminal's signals
    )
    self._crew.workers.append(self)
    self._watcher = threading.Thread(target=self._watch, daemon=True)
    self._watcher.start()

  def close(self) -> None:
    """Ends the process: at once if it starts or works, as then the job was given up."""
    self._crew.closing.set()
    started = worker_handlers.BeamFnControlServicer.STARTED_STATE
    if self.control_conn._state != started or self.control_conn._futures_by_id:
      self._kill()
    late = threading.Timer(_PATIENCE_SECONDS, self._kill)
    late.daemon = True
    late.start()
    self.data_conn._exception = None  # told already
    try:
      super().close()
    finally:
      late.cancel()

  def stop_worker(self) -> None:
    self.process.wait()
    if self.process.stdin:
      self.process.stdin.close()
    self._watcher.join()  # which reads the same file
    with self._said as file:
      if said := tail(file):
        _LOGGER.warning("%s said: %s", self.worker_id, said)

  def epitaph(self) -> str:
    """How the process ended, in words."""
    status = self.process.returncode
    line = f"(process {self.process.pid}) {how_it_ended(status)}"
    if status == -signal.SIGKILL:
      return f"{line}; most often the machine is out of memory: use fewer workers"
    said = last_line(self._said)
    return f"{line}: {said}" if said else line

  def _environment(self) -> dict[str, str]:
    def described(url: str) -> str:
      return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))

    options = self.provision_info.provision_info.pipeline_options
    return {
      **os.environ,
      "CONTROL_API_SERVICE_DESCRIPTOR": described(self.control_address),
      "LOGGING_API_SERVICE_DESCRIPTOR": described(
        self.logging_api_service_descriptor().url
      ),
      "PIPELINE_OPTIONS": json_format.MessageToJson(options),
      "WORKER_ID": self.worker_id,
    }

  def _read_answers(self) -> None:
    with contextlib.suppress(Exception):  # it died: `_watch` tells of that
      self.control_conn._read()

  def _watch(self) -> None:
    """Waits for the process; ends the whole job if that should still be at work."""
    self.process.wait()
    if self._crew.closing.is_set():
      return
    error = self._crew.death()
    assert error is not None  # at least our own
    while not self._crew.closing.wait(_POLL_SECONDS):
      for worker in self._crew.workers:  # what they still were to be asked, too
        worker._give_up(error)

  def _give_up(self, error: WorkerDied) -> None:
    """Ends all waiting for this worker."""
    self.data_conn._exception = error
    for future in list(self.control_conn._futures_by_id.values()):
      future.abort(error)

  def _kill(self) -> None:
    if self.process.poll() is None:
      with contextlib.suppress(ProcessLookupError):
        os.killpg(self.process.pid, signal.SIGKILL)


worker_handlers.WorkerHandler.register_environment(_URN, bytes)(_Worker)
