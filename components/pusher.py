"""StorePusher: puts a model that both blessings allow into a model store.

model ──────────┐
model_blessing ─┤
infra_blessing ─┼─ StorePusher ──> pushed_model (a standard PushedModel)
evaluation ─────┤        │
examples ┄┄┄┄┄┄┄┘        └───────> STORE/versions/N, alias `candidate`

It has TFX's own inputs, output and properties, so what understands TFX's Pusher
understands it. What it adds is the evaluation, by which a promotion is judged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from absl import logging
from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import (
  artifact_utils,
  component_spec,
  standard_artifacts,
  standard_component_specs,
)

from hardmine.components.pushes import CANDIDATE
from hardmine.schemas.experiment import Experiment
from hardmine.schemas.exported_model import kind_of, read_facts
from hardmine.schemas.folders import folder
from hardmine.schemas.local_copies import local_copy
from hardmine.schemas.manifest import MANIFEST_NAME
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore

STORE_KEY = "store"
ALIAS_KEY = "alias"
EXPERIMENT_KEY = "experiment"
MODEL_KEY = standard_component_specs.MODEL_KEY
MODEL_BLESSING_KEY = standard_component_specs.MODEL_BLESSING_KEY
INFRA_BLESSING_KEY = standard_component_specs.INFRA_BLESSING_KEY
EVALUATION_KEY = standard_component_specs.EVALUATION_KEY
EXAMPLES_KEY = standard_component_specs.EXAMPLES_KEY
PUSHED_MODEL_KEY = standard_component_specs.PUSHED_MODEL_KEY
PUSHED_FILE = "pushed.json"


class Executor(tfx_executor.Executor):
  """Adds a version, moves the alias, and says so in the artifact's properties."""

  def Do(
    self,
    input_dict: dict[str, list[types.Artifact]],
    output_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
  ) -> None:
    """Runs once; a model that is not blessed is no error.

    Args:
      input_dict: `model`, `model_blessing`, `infra_blessing`, `evaluation`, and
        `examples` or none.
      output_dict: `pushed_model`.
      exec_properties: `store`, `alias`, and `experiment` as JSON.

    Raises:
      ValueError: the model is neither a codec nor a detector.
      RuntimeError: the store cannot be reached.
      OSError: it cannot be written. It is whole then.
    """
    pushed = artifact_utils.get_single_instance(output_dict[PUSHED_MODEL_KEY])
    if not self.CheckBlessing(input_dict):
      # A folder without a file would not be there in a bucket, and so not reused.
      _note(pushed, None)
      self._MarkNotPushed(pushed)
      return
    with local_copy(self.GetModelPath(input_dict)) as model_dir:
      self._push(Path(model_dir), pushed, input_dict, exec_properties)

  def _push(
    self,
    model_dir: Path,
    pushed: types.Artifact,
    input_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
  ) -> None:
    kind = kind_of(model_dir)
    if kind is None:
      raise ValueError(f"Expected one of our models. Received: {model_dir}")
    facts = read_facts(model_dir, kind)
    experiment = json.loads(exec_properties[EXPERIMENT_KEY])
    evaluation = artifact_utils.get_single_instance(input_dict[EVALUATION_KEY])
    run_id = getattr(self._context, "_pipeline_run_id", None) or "unknown"
    reason = Reason(who=f"pipeline {experiment['name']}", why=f"run {run_id}")
    store = ModelStore(exec_properties[STORE_KEY])
    number = store.add(
      model_dir,
      kind=kind,
      model_id=facts["model_id"],
      experiment=experiment,
      metrics=_read(evaluation, "metrics.json"),
      verdict=_read(evaluation, "verdict.json"),
      lineage={
        **_lineage(input_dict, experiment["name"], run_id),
        **_beginning(facts),
      },
      reason=reason,
    )
    alias = exec_properties[ALIAS_KEY]
    store.move(alias, number, reason=reason)
    destination = f"{store.url}/versions/{number}"
    _note(pushed, {"store": store.url, "version": number, "alias": alias})
    self._MarkPushed(pushed, pushed_destination=destination, pushed_version=str(number))
    # By which a later run sees whether the push is still there.
    pushed.set_string_custom_property("model_id", facts["model_id"])
    pushed.set_string_custom_property("alias", alias)
    logging.info("Pusher: %s is %s", alias, destination)


def _note(pushed: types.Artifact, where: dict[str, Any] | None) -> None:
  """Leaves in the artifact's folder what was pushed; null is nothing."""
  folder(pushed.uri).write(PUSHED_FILE, f"{json.dumps(where)}\n".encode())


def _read(artifact: types.Artifact, name: str) -> dict[str, Any]:
  return json.loads(folder(artifact.uri).read(name))


def _lineage(
  input_dict: dict[str, list[types.Artifact]], pipeline: str, run_id: str
) -> dict[str, Any]:
  artifacts = {
    key: [{"uri": artifact.uri, "id": artifact.id} for artifact in artifacts]
    for key, artifacts in input_dict.items()
  }
  lineage: dict[str, Any] = {"pipeline": pipeline, "run_id": run_id, **artifacts}
  for examples in input_dict.get(EXAMPLES_KEY) or ():
    with contextlib.suppress(FileNotFoundError):
      manifest = folder(examples.uri).read(MANIFEST_NAME)
      lineage["examples_manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
  return lineage


def _beginning(facts: dict[str, Any]) -> dict[str, Any]:
  """From which model a training began, by what the trained model says of itself."""
  training = facts.get("training") or "{}"
  weights = [
    one.get("initial_weights")
    for one in (facts.get("config") or {}, json.loads(training))
  ]
  place = next(filter(None, weights), None)
  if place is None:
    return {}
  store, between, number = place.rpartition("/versions/")
  if not between or not number.isdecimal():
    return {"began_with": {"weights": place}}
  found: dict[str, Any] = {"store": store, "version": int(number)}
  with contextlib.suppress(ValueError, RuntimeError, OSError):  # it may be gone
    one = Catalogue(store).version(int(number))
    found |= {"digest": one.digest, "model_id": one.model_id}
  return {"began_with": found}


class StorePusherSpec(types.ComponentSpec):
  """The node's inputs, output and parameters."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    STORE_KEY: component_spec.ExecutionParameter(type=str),
    ALIAS_KEY: component_spec.ExecutionParameter(type=str),
    EXPERIMENT_KEY: component_spec.ExecutionParameter(type=str),
  }
  INPUTS = {  # noqa: RUF012
    MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    MODEL_BLESSING_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelBlessing
    ),
    INFRA_BLESSING_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.InfraBlessing
    ),
    EVALUATION_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelEvaluation
    ),
    EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples, optional=True
    ),
  }
  OUTPUTS = {  # noqa: RUF012
    PUSHED_MODEL_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.PushedModel
    ),
  }


class StorePusher(base_component.BaseComponent):
  """Pushes a model that the evaluator and InfraCheck have blessed."""

  SPEC_CLASS = StorePusherSpec
  EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

  def __init__(
    self,
    model: types.BaseChannel,
    model_blessing: types.BaseChannel,
    infra_blessing: types.BaseChannel,
    evaluation: types.BaseChannel,
    experiment: Experiment,
    store: str,
    examples: types.BaseChannel | None = None,
    alias: str = CANDIDATE,
  ):
    """Makes the node.

    Args:
      model: as the Trainer exports it.
      model_blessing: of the evaluator.
      infra_blessing: of InfraCheck.
      evaluation: of the evaluator: `metrics.json` and `verdict.json`.
      experiment: kept beside the model; its gates decide about promotions.
      store: folder or URL; it is made with the first push.
      examples: what the model was trained on, for the lineage.
      alias: is moved to what was pushed.
    """
    super().__init__(
      spec=StorePusherSpec(
        model=model,
        model_blessing=model_blessing,
        infra_blessing=infra_blessing,
        evaluation=evaluation,
        examples=examples,
        experiment=experiment.to_json(),
        store=store,
        alias=alias,
        pushed_model=types.Channel(type=standard_artifacts.PushedModel),
      )
    )
