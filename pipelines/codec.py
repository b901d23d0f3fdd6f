"""The codec pipeline: mine, validate, train, measure, check, push.

      PatchGen ──> StatisticsGen ──> ExampleValidator ──> DataCheck
         │                               │                   ┊
         │         ImportSchemaGen ──────┘                   ┊ (waits)
         └────────────────────────> Trainer <┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┘
                                     │   │
               Rival ────────────┐   │   ├──> InfraCheck
      (the last blessed model)   v   v   v       │
                              CodecEvaluator     │
                                     └──> Pusher <┘    blessed by both, or nothing

Each node gets only the part of the experiment it depends on, so that a changed
gate does not train again. The same graph runs under every orchestrator.
"""

from __future__ import annotations

import os

from hardmine.pipelines import stages
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.files import sha256_of

# TFX imports take half a minute: inside the functions.

NODES = (
  "PatchGen",
  "StatisticsGen",
  "ImportSchemaGen",
  "ExampleValidator",
  "DataCheck",
  "Trainer",
  "Rival",
  "InfraCheck",
  "CodecEvaluator",
  "Pusher",
)
RUN_FN = "hardmine.trainers.codec.run_fn.run_fn"


def create_pipeline(
  experiment: CodecExperiment,
  root: str,
  *,
  metadata=None,
  beam_pipeline_args: list | None = None,
  enable_cache: bool = True,
  store: str | None = None,
  rival_strategy: type | None = None,
  run_fn: str = RUN_FN,
):
  """Builds the graph; of all files only the test photographs are looked at.

  Args:
    experiment: what to produce.
    root: folder (or bucket prefix) of everything the run keeps: `artifacts`,
      `checkpoints`, and the model store `store` unless `store` says otherwise.
    metadata: TFX's connection to ML Metadata; None where the orchestrator
      brings its own.
    beam_pipeline_args: for the nodes that run Beam jobs.
    enable_cache: reuse nodes whose settings and inputs did not change.
    store: the model store that blessed models go into, a folder or URL.
    rival_strategy: how the model to beat is found; the default is
      `hardmine.components.rival.LatestOtherBlessedModel`. Vertex knows TFX's own only.
    run_fn: dotted path of the training function.

  Returns:
    A `tfx.dsl.Pipeline` named after the experiment, its nodes being `NODES`.

  Raises:
    ValueError: there is no test photograph; better now than after training.
  """
  from tfx import v1 as tfx

  from hardmine.components.codec_evaluator.component import CodecEvaluator
  from hardmine.components.infra_check import InfraCheck
  from hardmine.components.patch_gen.component import PatchGen

  patch_gen = PatchGen(config=experiment.mining)
  validation = stages.validation(patch_gen.outputs["examples"], "patch_example.pbtxt")
  trainer = tfx.components.Trainer(
    run_fn=run_fn,
    examples=patch_gen.outputs["examples"],
    custom_config={
      "codec": experiment.codec.to_json(),
      "training": experiment.training.to_json(),
      "checkpoint_dir": stages.checkpoint_dir(experiment.name, root),
      **_initial_weights(experiment.training.initial_weights),
    },
  )
  trainer.add_upstream_node(validation[-1])
  rival = stages.rival(trainer.outputs["model"], rival_strategy)
  infra = InfraCheck(model=trainer.outputs["model"])
  evaluator = CodecEvaluator(
    model=trainer.outputs["model"],
    baseline_model=rival.outputs["model"],
    examples=patch_gen.outputs["examples"],
    config=experiment.evaluation,
  )
  evaluator.add_upstream_node(infra)  # seconds before minutes
  pusher = stages.pusher(
    experiment,
    root,
    store,
    model=trainer.outputs["model"],
    evaluator=evaluator,
    infra=infra,
    examples=patch_gen.outputs["examples"],
  )
  return tfx.dsl.Pipeline(
    pipeline_name=experiment.name,
    pipeline_root=os.path.join(root, "artifacts"),
    metadata_connection_config=metadata,
    components=[
      patch_gen,
      *validation,
      trainer,
      rival,
      infra,
      evaluator,
      pusher,
    ],
    enable_cache=enable_cache,
    beam_pipeline_args=beam_pipeline_args,
  )


def _initial_weights(path: str | None) -> dict[str, str]:
  """Their content, so that other weights under the same path train anew.

  Raises:
    ValueError: they are not there; better now than after mining.
  """
  if path is None:
    return {}
  require(os.path.exists(path), "weights that exist", initial_weights=path)
  files = [path]
  if os.path.isdir(path):
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)
  return {"initial_weights_sha256": " ".join(sha256_of(file) for file in files)}
