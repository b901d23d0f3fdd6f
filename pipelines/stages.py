"""The parts of a graph that codecs and detectors share."""

from __future__ import annotations

import os
from typing import Any

from hardmine import schemas
from hardmine.schemas.experiment import Experiment

# TFX imports take half a minute: inside the functions.


def checkpoint_dir(name: str, root: str) -> str:
  """Where an experiment's training keeps its checkpoints.

  `run_fn` keys them by settings and data. The Trainer's own output folder is new
  in every execution, so a killed run would have to start again from there.
  """
  return os.path.join(root, "checkpoints", name)


def validation(examples: Any, schema_name: str) -> list[Any]:
  """StatisticsGen, ImportSchemaGen, ExampleValidator, and DataCheck, the last one.

  Args:
    examples: a channel of Examples.
    schema_name: a file of `schemas/`.
  """
  from tfx import v1 as tfx

  from hardmine.components.data_check import DataCheck

  statistics = tfx.components.StatisticsGen(examples=examples)
  schema = tfx.components.ImportSchemaGen(
    schema_file=os.path.join(os.path.dirname(schemas.__file__), schema_name)
  )
  validator = tfx.components.ExampleValidator(
    statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
  )
  check = DataCheck(anomalies=validator.outputs["anomalies"])
  return [statistics, schema, validator, check]


def rival(candidate: Any, strategy: type | None) -> Any:
  """The Resolver of the model to beat.

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


def pusher(
  experiment: Experiment,
  root: str,
  store: str | None,
  *,
  model: Any,
  evaluator: Any,
  infra: Any,
  examples: Any,
) -> Any:
  """The node that puts a model, blessed by both, into a model store.

  Args:
    experiment: what the model was made by.
    root: of the run.
    store: folder or URL; None takes `store` in the root.
    model: a channel.
    evaluator: the node.
    infra: the node InfraCheck.
    examples: a channel.
  """
  from hardmine.components.pusher import StorePusher

  return StorePusher(
    model=model,
    model_blessing=evaluator.outputs["blessing"],
    infra_blessing=infra.outputs["blessing"],
    evaluation=evaluator.outputs["evaluation"],
    examples=examples,
    experiment=experiment,
    store=store or os.path.join(root, "store"),
  ).with_id("Pusher")
