"""How tests run the pipelines of `cluster_jobs` and read what they left."""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from hardmine.components.jobs.failures import one_line_failures
from hardmine.pipelines.beam_runners import beam_arguments, beam_log, pipeline_maker

HERE = Path(__file__).parent  # where workers find `cluster_jobs`

_JOB = """
import sys
sys.path.insert(0, {here!r})
import cluster_jobs
from hardmine.pipelines.beam_runners import beam_arguments, pipeline_maker
from hardmine.pipelines.cli.signals import signals_raise
with signals_raise():
  with pipeline_maker(beam_arguments({beam!r}, flags={flags!r}))() as pipeline:
    cluster_jobs.build(pipeline, *{words!r})
"""


@contextlib.contextmanager
def jobs_module() -> Iterator[ModuleType]:
  """`cluster_jobs` under the name that the workers know."""
  sys.path.insert(0, str(HERE))
  try:
    yield importlib.import_module("cluster_jobs")
  finally:
    sys.path.remove(str(HERE))


def run(
  build: Callable[..., None], *words: Any, beam: str, flags: Sequence[str] = ()
) -> None:
  """Runs a pipeline as a command does."""
  arguments = beam_arguments(beam, flags=flags)
  with beam_log(), one_line_failures(), pipeline_maker(arguments)() as pipeline:
    build(pipeline, *words)


def start(*words: Any, beam: str, flags: Sequence[str]) -> subprocess.Popen:
  """Starts `cluster_jobs.build` in a process of its own, as a command does."""
  code = _JOB.format(here=str(HERE), beam=beam, flags=list(flags), words=words)
  return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


def results(folder: Path) -> tuple[list[Any], set[tuple[int, int]]]:
  """What was written, without who did it; and the workers' process ids and seeds."""
  (path,) = folder.glob("*.json")  # written once
  found = json.loads(path.read_text("utf-8"))
  return found, {tuple(group.pop()) for group in groups_of(found)}


def groups_of(found: list[Any]) -> list[list[Any]]:
  """The groups of all shards."""
  shards = [result for result in found if isinstance(result, dict)]
  return [group for shard in shards for group in shard.get("groups", [])]


def wait_for(
  is_so: Callable[[], object], job: subprocess.Popen | None = None, seconds: float = 120
) -> None:
  """Waits until it is so, while the job runs."""
  deadline = time.monotonic() + seconds
  while not is_so():
    if job is not None and job.poll() is not None:
      raise AssertionError(job.communicate())
    assert time.monotonic() < deadline
    time.sleep(0.05)
