"""Where Beam jobs run: each function gives the Beam arguments of one runner.

The name `DirectRunner` is never used: recent versions of Beam try Prism first under
that name, which downloads a program.
"""

from __future__ import annotations

from hardmine.schemas.config import require


def direct(workers: int = 1) -> list[str]:
  """Arguments for this machine.

  Args:
    workers: 1 runs inside this process. More start that many processes, each of
      which imports Beam and the job anew, so it pays off for jobs of a minute and
      more.
  """
  require(workers > 0, "workers > 0", workers=workers)
  runner = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
  if workers == 1:
    return [f"--runner={runner}"]
  return [
    f"--runner={runner}",
    f"--direct_num_workers={workers}",
    "--direct_running_mode=multi_processing",
  ]
