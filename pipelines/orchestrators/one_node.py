"""Runs one node of a pipeline in this process, for whoever schedules the others.

The scheduler names the run; nodes of one name belong together, wherever each is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hardmine.pipelines.orchestrators.launching import launcher_in
from hardmine.pipelines.runs import Run
from hardmine.pipelines.site import Site
from hardmine.schemas.config import require
from hardmine.schemas.uris import is_url

MAX_RUN_ID = 200  # characters; ML Metadata's tables in MySQL hold 255


def require_run_id(run_id: str) -> None:
  """Raises ValueError for a name that records or lines cannot hold."""
  fits = 0 < len(run_id) <= MAX_RUN_ID and run_id.isprintable()
  require(fits, f"1 to {MAX_RUN_ID} printable characters", run_id=run_id[:250])


def run_node(
  build: Callable[[Site], Any],
  site: Site,
  node: str,
  run_id: str,
  *,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> Run:
  """Builds a pipeline and runs one node of it, unless it has ended in this run.

  Args:
    build: makes the `tfx.dsl.Pipeline`; see `launching.launcher_in`.
    site: whose root other nodes and other runs may use at the same time.
    node: its id.
    run_id: what the scheduler calls the run, `MAX_RUN_ID` printable characters at
      most.
    say: gets lines.
    verbose: let TFX's log through to stderr too.

  Returns:
    The run with this node alone.

  Raises:
    ValueError: no such bucket, a root whose records cannot be shared, or
      (`NodeRefused`) settings or data that the node cannot use.
    RuntimeError: a node before it has not ended in this run, the root is held by a
      run of all nodes, or (`NodeFailed`) the node raised.
  """
  require_run_id(run_id)
  if is_url(site.root) and site.has_own_records:
    raise ValueError(
      "Expected a database for the records of a root in a bucket whose nodes are "
      "processes of their own: --metadata mysql://USER:PASSWORD@HOST:PORT/DATABASE, or "
      f"$HARDMINE_METADATA. Received: root={site.root!r}"
    )
  pushes = node == "Pusher"
  with launcher_in(
    build, site, node=node, pushes=pushes, say=say, verbose=verbose
  ) as launcher:
    before = launcher.history.run(run_id, launcher.needed_by(node))
    for needed in launcher.needed_by(node):
      found = before.node(needed)
      if found is None or not found.has_ended:
        state = "was not run" if found is None else found.status
        raise RuntimeError(
          f"{node} needs what {needed} makes, which has not ended in run {run_id} "
          f"({state}): run it first"
        )
    done, is_new = launcher.launch(node, run_id)
    if not is_new:
      say(f"{node} has ended in run {run_id} already ({done.status}): nothing to do")
    return Run(run_id=run_id, nodes=(done,), log_path=launcher.log_path)
