"""Where Beam jobs run: each function gives the Beam arguments of one runner.

The name `DirectRunner` is never used: recent versions of Beam try Prism first under
that name, which downloads a program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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
