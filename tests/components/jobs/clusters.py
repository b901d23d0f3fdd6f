"""Clusters of this machine that share nothing with the test but what it tells them.

Each is of processes in another working directory, with another folder for temporary
files and, on Dask, with a hash seed of its own for every worker. All end with the
block.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_START_SECONDS = 120
# Folders before `--` are empty for the program behind it, which keeps the process.
_HIDE = """
while [ "$1" != -- ]; do mount -t tmpfs none "$1" || exit 1; shift; done
shift
exec "$@"
"""
_WORKER = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"


@dataclasses.dataclass
class DaskCluster:
  """A scheduler and its workers.

  Attributes:
    address: of the scheduler.
    scheduler: its process.
    workers: theirs; none is started again.
  """

  address: str
  scheduler: subprocess.Popen
  workers: list[subprocess.Popen]

  @property
  def flags(self) -> list[str]:
    """Behind `--beam dask`."""
    return [f"--dask_client_address={self.address}"]


@dataclasses.dataclass
class JobService:
  """Beam's own job service, which starts its workers as processes.

  Attributes:
    endpoint: where it listens.
    process: its own.
  """

  endpoint: str
  process: subprocess.Popen

  @property
  def flags(self) -> list[str]:
    """Behind `--beam portable`."""
    return [
      f"--job_endpoint={self.endpoint}",
      # Beam's Python service knows no PROCESS: this is its own word for a command.
      "--environment_type=beam:env:harness_subprocess_python:v1",
      f"--environment_config={_WORKER}",
    ]


@contextlib.contextmanager
def dask_cluster(
  num_workers: int,
  cwd: Path,
  *,
  path: Sequence[Path] = (),
  threads: int = 1,
  hidden: Sequence[Path] = (),
) -> Iterator[DaskCluster]:
  """A Dask cluster on a free port.

  Args:
    num_workers: processes.
    cwd: a folder that is theirs alone; it is made.
    path: folders of modules that the workers find.
    threads: of a worker.
    hidden: folders that are empty for the cluster; see `can_hide`.
  """
  with contextlib.ExitStack() as stack:
    place = cwd / "scheduler.json"
    start = _starter(stack, cwd, path, hidden)
    scheduler = start(
      "distributed.cli.dask_scheduler --host 127.0.0.1 --port 0 --no-dashboard",
      f"--scheduler-file={place}",
    )
    _until(lambda: place.exists() and place.stat().st_size > 0, scheduler, cwd)
    address = json.loads(place.read_text("utf-8"))["address"]
    workers = [
      start(
        f"distributed.cli.dask_worker {address} --no-nanny --no-dashboard",
        f"--nthreads={threads}",
        f"--local-directory={cwd}",
        PYTHONHASHSEED=str(number + 1),
      )
      for number in range(num_workers)
    ]
    yield DaskCluster(address, scheduler, workers)


@contextlib.contextmanager
def job_service(
  cwd: Path, *, path: Sequence[Path] = (), hidden: Sequence[Path] = ()
) -> Iterator[JobService]:
  """Beam's Python job service on a free port.

  Args:
    cwd: a folder that is its alone; it is made.
    path: folders of modules that its workers find.
    hidden: folders that are empty for it and its workers; see `can_hide`.
  """
  with contextlib.ExitStack() as stack:
    place = cwd / "port"
    start = _starter(stack, cwd, path, hidden)
    module = "apache_beam.runners.portability.local_job_service_main"
    process = start(f"{module} --port 0", f"--port_file={place}")
    _until(place.exists, process, cwd)
    yield JobService(f"localhost:{place.read_text('utf-8')}", process)


def can_hide(folder: Path) -> bool:
  """Whether this machine lets a process have a folder be empty for itself alone."""
  if not folder.is_dir() or shutil.which("unshare") is None:
    return False
  probe = subprocess.run(_hiding([folder], ["true"]), capture_output=True)
  return probe.returncode == 0


def _hiding(folders: Sequence[Path], command: Sequence[str]) -> list[str]:
  """A command for which these folders are empty."""
  if not folders:
    return list(command)
  names = map(str, folders)
  return ["unshare", "--mount", "sh", "-c", _HIDE, "sh", *names, "--", *command]


def _starter(
  stack: contextlib.ExitStack, cwd: Path, path: Sequence[Path], hidden: Sequence[Path]
):
  """What starts Python in that folder, and ends it and its children in the end."""
  temporary = cwd / "tmp"
  temporary.mkdir(parents=True)
  environment = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"},
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",  # to one that was killed
    "PYTHONPATH": os.pathsep.join(map(str, path)),
    "TMPDIR": str(temporary),
  }

  def start(words: str, *more: str, **variables: str) -> subprocess.Popen:
    said = stack.enter_context((cwd / "log").open("ab"))
    process = subprocess.Popen(
      _hiding(hidden, [sys.executable, "-m", *words.split(), *more]),
      cwd=cwd,
      env=environment | variables,
      stdin=subprocess.DEVNULL,
      stdout=said,
      stderr=said,
      start_new_session=True,
    )
    stack.callback(process.wait)
    stack.callback(_kill, process)
    return process

  return start


def _kill(process: subprocess.Popen) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGKILL)


def _until(is_so, process: subprocess.Popen, cwd: Path) -> None:
  deadline = time.monotonic() + _START_SECONDS
  while not is_so():
    said = (cwd / "log").read_text("utf-8", "replace")
    assert process.poll() is None, said
    assert time.monotonic() < deadline, said
    time.sleep(0.05)
