"""Beam's runner of this machine, with processes that see our modules alone.

Beam starts them by `python -m`, which takes modules from wherever one stands: a
`random.py` in the current folder ends every worker before it has begun.
"""

from __future__ import annotations

import shlex
import sys

from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

_START = """
import runpy, sys
sys.path[:] = {path!r}
runpy.run_module("apache_beam.runners.worker.sdk_worker_main", run_name="__main__")
"""


class ProcessRunner(FnApiRunner):
  """`--direct_num_workers` processes, with the `sys.path` of this one."""

  def run_pipeline(self, pipeline, options):
    path = [place for place in sys.path if place]
    command = [sys.executable, "-c", _START.format(path=path)]
    self._default_environment = SubprocessSDKEnvironment.from_command_string(
      shlex.join(command)
    )
    # Any of Beam's own modes would take the place of this environment.
    options.view_as(DirectOptions).direct_running_mode = "processes"
    return super().run_pipeline(pipeline, options)
