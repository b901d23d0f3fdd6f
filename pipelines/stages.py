"""The parts of a graph that codecs and detectors share."""

from __future__ import annotations

import os
from typing import Any

from hardmine import schemas
from hardmine.pipelines.site import Site
from hardmine.schemas.class_names import own_code_sha256
from hardmine.schemas.config import Config
from hardmine.schemas.experiment import CodecExperiment, DetectionExperiment
from hardmine.schemas.uris import is_url

# TFX imports take half a minute: inside the functions.


def own_code(config: Config) -> dict[str, str]:
  """What a Trainer's `custom_config` says of the user's modules that a config names.

  So that a cell that was rewritten is trained anew, from no checkpoint of before.
  """
  sha256 = own_code_sha256(config.to_json())
  return {} if sha256 is None else {"own_code_sha256": sha256}


def validation(site: Site, examples: Any, schema_name: str) -> list[Any]:
  """StatisticsGen, ImportSchemaGen, ExampleValidator, and DataCheck, the last one.

  Args:
    site: whose Beam runner may not be one for statistics.
    examples: a channel of Examples.
    schema_name: a file of `schemas/`.
  """
  from tfx import v1 as tfx
  from tfx.dsl.components.base import executor_spec

  from hardmine.components.data_check import DataCheck

  statistics = tfx.components.StatisticsGen(examples=examples)
  if site.library_beam_arguments:
    statistics.with_beam_pipeline_args(site.library_beam_arguments)
  schema = tfx.components.ImportSchemaGen(
    schema_file=os.path.join(os.path.dirname(schemas.__file__), schema_name)
  )
  validator = tfx.components.ExampleValidator(
    statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
  )
  if is_url(site.root):
    from hardmine.components.example_validator import Executor

    # Elsewhere the stock one stays, for another would miss what was cached.
    validator.executor_spec = executor_spec.ExecutorClassSpec(Executor)
  check = DataCheck(anomalies=validator.outputs["anomalies"])
  return [statistics, schema, validator, check]


def judgement(
  experiment: CodecExperiment | DetectionExperiment,
  site: Site,
  *,
  model: Any,
  examples: Any,
  evaluator_class: Any,
) -> list[Any]:
  """Rival, InfraCheck, the evaluator, and Pusher: all that follows the Trainer.

  Args:
    experiment: what the model was made by.
    site: whose rival strategy and model store count.
    model: a channel.
    examples: a channel.
    evaluator_class: the node that measures and blesses.
  """
  from hardmine.components.infra_check import InfraCheck
  from hardmine.components.pusher import StorePusher

  found = rival(model, site.rival_strategy)
  infra = InfraCheck(model=model)
  evaluator = evaluator_class(
    model=model,
    baseline_model=found.outputs["model"],
    examples=examples,
    config=experiment.evaluation,
  )
  evaluator.add_upstream_node(infra)  # seconds before minutes
  pusher = StorePusher(
    model=model,
    model_blessing=evaluator.outputs["blessing"],
    infra_blessing=infra.outputs["blessing"],
    evaluation=evaluator.outputs["evaluation"],
    examples=examples,
    experiment=experiment,
    store=site.store_url,
  ).with_id("Pusher")
  return [found, infra, evaluator, pusher]


def rival(candidate: Any, strategy: type | None) -> Any:
  """The Resolver that finds the rival, which the candidate has to beat.

  Args:
    candidate: a channel of the model under test.
    strategy: None takes `hardmine.components.rival.LatestOtherBlessedModel`.
  """
  from tfx import v1 as tfx

  from hardmine.components.rival import LatestOtherBlessedModel

  strategy = strategy or LatestOtherBlessedModel
  channels: dict[str, Any] = {
    "model": tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
    "model_blessing": tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
  }
  if strategy is LatestOtherBlessedModel:
    channels["candidate"] = candidate
  return tfx.dsl.Resolver(strategy_class=strategy, **channels).with_id("Rival")


def pipeline(name: str, site: Site, components: list[Any]) -> Any:
  """The `tfx.dsl.Pipeline` of these nodes, in an order in which they can run."""
  from tfx import v1 as tfx

  return tfx.dsl.Pipeline(
    pipeline_name=name,
    pipeline_root=site.artifacts_dir,
    metadata_connection_config=site.metadata,
    components=components,
    enable_cache=site.enable_cache,
    beam_pipeline_args=list(site.beam_arguments),
  )
