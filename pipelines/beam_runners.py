"""Where Beam jobs run: `--beam` and the Beam arguments of each runner.

The name `DirectRunner` is never used: recent versions of Beam try Prism first under
that name, which downloads a program.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hardmine.components.jobs.failures import JobFailed
from hardmine.components.jobs.job_identity import RUNNER
from hardmine.pipelines import beam_flags
from hardmine.schemas.config import require

if TYPE_CHECKING:
  import apache_beam as beam

RUNNERS = ("direct", "dask", "portable", "dataflow")
# What decides how many work at once, where `--workers` does not.
_WORKERS_OF = {
  "dask": "the cluster has them: `dask worker ADDRESS --nworkers N`",
  "portable": "the job service has them: --sdk_worker_parallelism=N, if it heeds that",
  "dataflow": "Dataflow has them: --num_workers=N and --max_num_workers=N",
}
_DASK_RUNNER = "hardmine.components.jobs.dask_runner.DaskRunner"
_PORTABLE_RUNNER = "hardmine.components.jobs.portable_runner.PortableRunner"
_ADDRESS = re.compile(r"(\w+://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}/?")


def beam_arguments(
  beam: str,
  *,
  workers: int | None = None,
  flags: Sequence[str] = (),
  own_flags: Iterable[str] = (),
) -> list[str]:
  """The Beam arguments of a command's `--beam`; anything but `direct` imports Beam.

  Args:
    beam: one of RUNNERS.
    workers: processes of this machine, for `direct` alone; None is 1.
    flags: Beam's own, `--name=value`, for the others.
    own_flags: the command's, for a line about one that is misspelt.

  Raises:
    ValueError: a flag is unknown or of another runner, the runner needs one that is
      not given, or `workers` is not for it.
  """
  require(beam in RUNNERS, f"one of {', '.join(RUNNERS)}", beam=beam)
  if beam == "direct":
    beam_flags.refuse_all(flags, own_flags)
    return direct(1 if workers is None else workers)
  if workers is not None:
    raise ValueError(
      f"Expected --workers with --beam direct only; {_WORKERS_OF[beam]}. Received: "
      f"--beam {beam} --workers {workers}"
    )
  with contextlib.suppress(ImportError):
    # TFX imports it late, which fails behind what Beam's options import of distutils.
    importlib.import_module("setuptools")
  beam_flags.check_known(beam, flags, own_flags)
  match beam:
    case "dask":
      return dask(flags)
    case "portable":
      return portable(flags)
  from hardmine.pipelines.dataflow import dataflow

  return dataflow(flags)


def with_own_modules(arguments: Sequence[str], config_text: str) -> list[str]:
  """Beam arguments with the user's modules that a config names, for the workers.

  Workers of Dataflow and of a job service install them as a wheel, whose name tells of
  its content; Dask's run what is installed there, so theirs must have them already.

  Args:
    arguments: of `beam_arguments`.
    config_text: the experiment as JSON; its modules were imported.

  Raises:
    ValueError: a module has a name that workers have, or one that a wheel cannot hold.
  """
  from hardmine.schemas.class_names import own_files

  remote = [f"--runner={name}" for name in (_PORTABLE_RUNNER, RUNNER)]
  files = own_files(config_text) if set(remote) & set(arguments) else []
  if not files:
    return list(arguments)
  from hardmine.pipelines.wheels import user_package

  # Of a package, its folder: all of it goes along.
  tops = {name.partition("/")[0]: path.parents[name.count("/")] for path, name in files}
  wheel = user_package([folder / top for top, folder in sorted(tops.items())])
  return [*arguments, f"--extra_package={wheel}"]


def direct(workers: int = 1) -> list[str]:
  """Arguments for this machine.

  Args:
    workers: 1 runs inside this process. More start that many processes, each of
      which imports Beam and the job anew, so it pays off for jobs of a minute and
      more.
  """
  require(workers > 0, "workers > 0", workers=workers)
  if workers == 1:
    runner = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
    return [f"--runner={runner}"]
  return [
    "--runner=hardmine.components.jobs.process_runner.ProcessRunner",
    f"--direct_num_workers={workers}",
  ]


def dask(flags: Sequence[str]) -> list[str]:
  """Arguments for a Dask cluster that is running.

  Args:
    flags: with the scheduler's address, or the path of its file.

  Raises:
    ValueError: neither is given, or the address is none.
  """
  address = beam_flags.value_of(flags, "--dask_client_address")
  if address is None and beam_flags.value_of(flags, "--dask_scheduler_file") is None:
    raise ValueError(
      "Expected --dask_client_address=tcp://HOST:8786, where `dask scheduler` says it "
      "is, or --dask_scheduler_file=PATH. Received: --beam dask without either"
    )
  if address is not None:
    _check_address("--dask_client_address", address, "tcp://HOST:8786")
  return [f"--runner={_DASK_RUNNER}", *flags]


def portable(flags: Sequence[str]) -> list[str]:
  """Arguments for a job service of Beam's: Flink's, Spark's, Beam's own.

  Args:
    flags: with the endpoint, and with what starts its workers.

  Raises:
    ValueError: one of them is not given, or the endpoint is none.
  """
  endpoint = beam_flags.value_of(flags, "--job_endpoint")
  if endpoint is None:
    raise ValueError(
      "Expected --job_endpoint=HOST:8099, where the job service listens. Received: "
      "--beam portable without it"
    )
  _check_address("--job_endpoint", endpoint, "HOST:8099")
  names = ("--environment_type", "--sdk_container_image")
  if all(beam_flags.value_of(flags, name) is None for name in names):
    raise ValueError(
      "Expected what starts the workers: --sdk_container_image=IMAGE or "
      "--environment_type=DOCKER, PROCESS or EXTERNAL with --environment_config=...; "
      "Beam's own image has no hardmine. Received: --beam portable without it"
    )
  return [f"--runner={_PORTABLE_RUNNER}", *flags]


def _check_address(name: str, address: str, example: str) -> None:
  if not _ADDRESS.fullmatch(address):
    raise ValueError(f"Expected {name}={example}. Received: {name}={address}")


def for_libraries(arguments: Sequence[object]) -> list[str]:
  """What is added to a node of TFX's own libraries; the last `--runner` counts.

  Data Validation's combiners need more of Beam than Dask's runner has.

  Args:
    arguments: of the pipeline, strings or TFX's placeholders, which are not asked.
  """
  told = [argument for argument in arguments if isinstance(argument, str)]
  return direct() if f"--runner={_DASK_RUNNER}" in told else []


def pipeline_maker(arguments: Sequence[str]) -> Callable[[], beam.Pipeline]:
  """What a job's `run_job` takes as `make_pipeline`; Beam is imported by its calls."""

  def make_pipeline() -> beam.Pipeline:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    return beam.Pipeline(options=PipelineOptions(list(arguments)))

  return make_pipeline


@contextlib.contextmanager
def beam_log(*, shown: bool = False) -> Iterator[None]:
  """Keeps what Beam and its processes say off the screen.

  It goes into a file of the folder for temporary files, which stays where the job has
  failed; `JobFailed` then names it.

  Args:
    shown: on the screen after all, and no file.
  """
  if shown:
    yield
    return
  try:
    number, path = tempfile.mkstemp(prefix="hardmine-", suffix=".log")
    os.close(number)
  except OSError:  # a full disk, say, is told by whoever needs it more
    path = os.devnull
  kept = False
  root, handler = logging.getLogger(), _LogFile(path)
  before, root.handlers = root.handlers, [handler]
  hook, threading.excepthook = threading.excepthook, _log_thread
  try:
    yield
  except JobFailed as error:
    kept = os.path.getsize(path) > 0
    if not kept:
      raise
    raise JobFailed(f"{error}; all that was said: {path}") from None
  finally:
    root.handlers, threading.excepthook = before, hook
    handler.close()
    if not kept and path != os.devnull:
      os.unlink(path)


def _log_thread(args: threading.ExceptHookArgs) -> None:
  """Beam's threads complain of a connection whose other end is gone."""
  logging.getLogger().error("in a thread", exc_info=args.exc_value)


class _LogFile(logging.FileHandler):
  """Loses what a full disk does not take."""

  def __init__(self, path: str):
    super().__init__(path, encoding="utf-8", errors="backslashreplace")
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    self.setFormatter(logging.Formatter(form))

  def handleError(self, record: logging.LogRecord) -> None:
    """Says nothing."""

  def close(self) -> None:
    """Never fails."""
    with contextlib.suppress(OSError):
      super().close()
