"""Beam's runner of a running Dask cluster, with one line for whatever goes wrong.

The workers run the installed package: nothing is staged. So they are asked first which
Python, Beam and hardmine they have. A worker that dies is Dask's business, which has
its tasks done again by others; a job that is given up is cancelled there.
"""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
import traceback
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import distributed
from apache_beam.metrics.metric import MetricResults
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dask import dask_runner
from apache_beam.runners.dask.overrides import dask_overrides
from apache_beam.runners.runner import PipelineResult, PipelineState

from hardmine.components.jobs.dask_bags import BagVisitor, emptied

_CONNECT_SECONDS = 10
_WORKER_SECONDS = 60.0  # for the first worker to come
_ALONE_SECONDS = 120.0  # for another, when all are gone
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 5.0  # at the workers
_LEAVE_SECONDS = 3.0
_LEAST_PARTITIONS, _MOST_PARTITIONS = 16, 256  # the shuffle has thousands of tasks
_PACKAGES = ("hardmine", "apache-beam", "dask")
_LOGGERS = ("distributed", "distributed.client", "bokeh", "tornado")


class DaskRunner(dask_runner.DaskRunner):
  """Runs on the cluster whose scheduler `--dask_client_address` names.

  `--dask_npartitions` says in how many pieces the elements are dealt to the workers;
  unless told, four for each of their threads.
  """

  def run_pipeline(self, pipeline: Any, options: PipelineOptions) -> DaskResult:
    """Starts the job.

    Raises:
      RuntimeError: nobody answers at the address, no worker comes, or the workers are
        not like this process.
      ValueError: the pipeline has a transform that does not run on Dask.
    """
    wanted = options.view_as(dask_runner.DaskOptions)
    client = _connected(wanted)
    try:
      check_workers(client)
      pipeline.replace_all(dask_overrides())
      visitor = BagVisitor(wanted.npartitions or _num_partitions(client))
      pipeline.visit(visitor)
      ends = [emptied(bag) for bag in visitor.ends()]
      parts = [part for bag in ends for part in bag.to_delayed(optimize_graph=False)]
      futures: Any = client.compute(parts)
    except BaseException:
      _close(client)
      raise
    return DaskResult(client, futures)


class DaskResult(PipelineResult):
  """A job that is running, and the connection, which ends with it."""

  def __init__(self, client: distributed.Client, futures: Sequence[Any]):
    super().__init__(PipelineState.RUNNING)
    self._client, self._futures = client, list(futures)
    self._address = _address(client)

  def wait_until_finish(self, duration: int | None = None) -> str:
    """Waits; where it is broken off, the job is cancelled.

    Args:
      duration: milliseconds to wait at most; None waits for the end.

    Raises:
      RuntimeError: a worker's error, with its traceback; or the cluster is gone.
    """
    if self._over():
      return self._state
    deadline = math.inf if duration is None else time.monotonic() + duration / 1000
    try:
      ended = self._wait(deadline)
    except BaseException:
      self.cancel()
      self._state = PipelineState.FAILED
      raise
    if ended:
      self._state = PipelineState.DONE
      _close(self._client)
    return self._state

  def cancel(self) -> str:
    """Drops what has not begun; a task at work ends by itself, and nobody hears."""
    if not self._over():
      self._state = PipelineState.CANCELLED
      with contextlib.suppress(Exception):  # the scheduler may be gone
        self._client.cancel(self._futures, force=True)
      _close(self._client)
    return self._state

  def metrics(self) -> MetricResults:
    """None: Dask's workers count nothing."""
    return _NoMetrics()

  def _over(self) -> bool:
    return PipelineState.is_terminal(self._state)

  def _wait(self, deadline: float) -> bool:
    looked = alone_since = time.monotonic()
    while True:
      for future in self._futures:
        self._check(future)
      if all(future.status == "finished" for future in self._futures):
        return True
      now = time.monotonic()
      if now > deadline:
        return False
      if now - looked > _LOOK_SECONDS:
        looked = now
        alone_since = now if self._has_workers() else alone_since
        if now - alone_since > _ALONE_SECONDS:
          raise RuntimeError(
            f"all Dask workers of {self._address} are gone, and none has come for "
            f"{_ALONE_SECONDS:.0f} s"
          )
      time.sleep(_POLL_SECONDS)

  def _check(self, future: Any) -> None:
    if future.status in ("pending", "finished", "lost"):
      return  # what was lost with its worker is made again
    if future.status != "error":
      raise self._gone()
    error = future.exception(timeout=_CONNECT_SECONDS)
    if isinstance(error, distributed.KilledWorker):
      raise RuntimeError(
        "a piece of the job ended every Dask worker that was given it, most often for "
        f"want of memory; the last was {error.last_worker.address}, whose log says why"
      )
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    raise RuntimeError("".join(lines))

  def _has_workers(self) -> bool:
    try:
      return bool(self._client.nthreads())
    except OSError:
      raise self._gone() from None

  def _gone(self) -> RuntimeError:
    return RuntimeError(
      f"the Dask scheduler at {self._address} is gone, or has cancelled the job"
    )


class _NoMetrics(MetricResults):
  def query(self, filter: Any = None) -> dict[str, list[Any]]:
    del filter
    names = (self.COUNTERS, self.DISTRIBUTIONS, self.GAUGES, self.STRINGSETS)
    return {name: [] for name in names}


def check_workers(client: distributed.Client) -> None:
  """Waits for a worker and compares all that are there with this process.

  Raises:
    RuntimeError: none comes, or one has another Python, Beam, Dask or hardmine.
  """
  address = _address(client)
  try:
    client.wait_for_workers(1, timeout=_WORKER_SECONDS)
  except (TimeoutError, distributed.TimeoutError):
    raise RuntimeError(
      f"the Dask scheduler at {address} has no worker: start some with "
      f"`dask worker {address}`"
    ) from None
  here = ".".join(platform.python_version_tuple()[:2])
  for worker, version in client.run(platform.python_version).items():
    if version.rpartition(".")[0] != here:
      raise _unlike(worker, "Python", version, platform.python_version())
  for package in _PACKAGES:
    ours = metadata.version(package)
    # Python's own function: it is there even where nothing of ours is.
    theirs = client.run(metadata.version, package, on_error="return")
    for worker, version in theirs.items():
      if isinstance(version, Exception):
        raise _unlike(worker, f"no {package}", "", ours)
      if version != ours:
        raise _unlike(worker, package, version, ours)


def _unlike(worker: str, name: str, theirs: str, ours: str) -> RuntimeError:
  return RuntimeError(
    f"the Dask worker {worker} has {f'{name} {theirs}'.strip()}, and this process has "
    f"{ours}: install there what is installed here (`pip install 'hardmine[dask]'`)"
  )


def _connected(wanted: Any) -> distributed.Client:
  """A client, from Dask's own options alone: others are Beam's business."""
  _through_the_root_logger()
  names = ("address", "scheduler_file", "name", "connection_limit")
  told = {name: getattr(wanted, name) for name in names}
  place = wanted.address or wanted.scheduler_file
  timeout = wanted.timeout if isinstance(wanted.timeout, int) else _CONNECT_SECONDS
  try:
    return distributed.Client(
      **{name: value for name, value in told.items() if value is not None},
      timeout=timeout,
      set_as_default=False,
    )
  except (OSError, ValueError, TimeoutError, distributed.TimeoutError) as error:
    logging.getLogger(__name__).warning("no connection", exc_info=error)
    raise RuntimeError(
      f"no Dask scheduler answers at {place}: look whether `dask scheduler` is running "
      "there, whether this machine reaches its port, and that its Dask is "
      f"{distributed.__version__} as here"
    ) from None


def _address(client: distributed.Client) -> str:
  return str(client.scheduler.address) if client.scheduler else "its address"


def _num_partitions(client: distributed.Client) -> int:
  threads = sum(client.nthreads().values())
  return min(max(4 * threads, _LEAST_PARTITIONS), _MOST_PARTITIONS)


def _close(client: distributed.Client) -> None:
  with contextlib.suppress(Exception):
    client.close(timeout=_LEAVE_SECONDS)


def _through_the_root_logger() -> None:
  """Dask's loggers write to the screen themselves, past whoever keeps the log."""
  for name in _LOGGERS:
    logger = logging.getLogger(name)
    logger.handlers.clear()
    logger.propagate = True
