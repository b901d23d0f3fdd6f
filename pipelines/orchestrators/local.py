"""Runs a pipeline in this process, node by node, one run at a time in a root."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from hardmine.pipelines.orchestrators.launching import launcher_in
from hardmine.pipelines.orchestrators.node_launcher import Launcher
from hardmine.pipelines.orchestrators.partial_run import mark_part, skipped_nodes
from hardmine.pipelines.runs import Run
from hardmine.pipelines.site import Site


def run_pipeline(
  build: Callable[[Site], Any],
  site: Site,
  *,
  from_node: str | None = None,
  to_node: str | None = None,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> Run:
  """Builds and runs a pipeline.

  Args:
    build: makes the `tfx.dsl.Pipeline`; see `launching.launcher_in`.
    site: whose root is made where it does not exist.
    from_node: start here, with the outputs that the newest fitting run left.
    to_node: stop after this node and what it needs.
    say: gets one line as each node starts and ends.
    verbose: let TFX's log through to stderr too.

  Raises:
    ValueError: an unknown node, no earlier run to start from, no such bucket, or
      (`NodeRefused`) settings or data that a node cannot use.
    RuntimeError: another run holds the root, its records are damaged or gone, or
      (`NodeFailed`) a node raised.
  """
  pushes = to_node in (None, "Pusher")
  with launcher_in(build, site, pushes=pushes, say=say, verbose=verbose) as launcher:
    mark_part(launcher.plan, launcher.pipeline, launcher.history, from_node, to_node)
    return _run(launcher)


def _run(launcher: Launcher) -> Run:
  run_id = datetime.datetime.now().isoformat()  # as TFX names runs
  skipped = skipped_nodes(launcher.plan)
  node = "the run"
  try:
    for node in launcher.nodes:
      if node not in skipped:
        launcher.launch(node, run_id)
  except (KeyboardInterrupt, SystemExit):
    launcher.say(
      f"interrupted in {node}; the same command goes on, a training from its "
      "last checkpoint"
    )
    raise
  return launcher.history.run(
    run_id, launcher.nodes, skipped=skipped, log_path=launcher.log_path
  )
