"""Where Beam jobs run: each function gives the Beam arguments of one runner.

The name `DirectRunner` is never used: recent versions of Beam try Prism first under
that name, which downloads a program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hardmine.components.jobs.failures import JobFailed
from hardmine.schemas.config import require

if TYPE_CHECKING:
  import apache_beam as beam


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
