"""Runs an experiment in this process and says what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hardmine.pipelines.outcome import Outcome, outcome_of
from hardmine.pipelines.runs import Run
from hardmine.pipelines.site import Site
from hardmine.schemas.experiment import Experiment
from hardmine.schemas.folders import folder


def run_experiment_node(
  experiment: Experiment,
  site: Site,
  node: str,
  run_id: str,
  *,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> tuple[Run, Outcome]:
  """Runs one node of an experiment; see `pipelines.orchestrators.one_node.run_node`.

  The outcome knows what this node knows: a node that judges, whether the model is
  blessed.
  """
  from hardmine.pipelines.graphs import create_pipeline, nodes_of
  from hardmine.pipelines.orchestrators.one_node import require_run_id, run_node
  from hardmine.pipelines.orchestrators.partial_run import require_nodes

  require_nodes(nodes_of(experiment), node)  # before TFX is imported
  require_run_id(run_id)
  site = dataclasses.replace(site, run_id=run_id)
  say(f"{node} of {experiment.name} in {site.root}, run {run_id}")
  run = run_node(
    lambda whole_site: create_pipeline(experiment, whole_site),
    site,
    node,
    run_id,
    say=say,
    verbose=verbose,
  )
  return run, outcome_of(run)


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
