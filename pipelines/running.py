"""Runs an experiment in this process and says what came of it."""

from __future__ import annotations

from collections.abc import Callable

from hardmine.pipelines.outcome import Outcome, outcome_of
from hardmine.pipelines.runs import Run
from hardmine.pipelines.site import Site
from hardmine.schemas.experiment import Experiment
from hardmine.schemas.folders import folder


def run_experiment(
  experiment: Experiment,
  site: Site,
  *,
  from_node: str | None = None,
  to_node: str | None = None,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> tuple[Run, Outcome]:
  """Runs an experiment; see `pipelines.orchestrators.local.run_pipeline`."""
  from hardmine.pipelines.graphs import create_pipeline, nodes_of
  from hardmine.pipelines.orchestrators.local import run_pipeline
  from hardmine.pipelines.orchestrators.partial_run import require_nodes

  require_nodes(nodes_of(experiment), from_node, to_node)  # before TFX is imported

  def build(whole_site: Site):
    if not site.enable_cache:  # else training would find itself finished
      folder(site.checkpoint_dir(experiment.name)).remove_tree()
    return create_pipeline(experiment, whole_site)

  say(f"{experiment.name} in {site.root}")
  run = run_pipeline(
    build, site, from_node=from_node, to_node=to_node, say=say, verbose=verbose
  )
  return run, outcome_of(run)
