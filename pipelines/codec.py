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
from hardmine.pipelines.site import Site
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


def create_pipeline(experiment: CodecExperiment, site: Site):
  """Builds the graph; of all files only the test photographs are looked at.

  Args:
    experiment: what to produce.
    site: where and by which means.

  Returns:
    A `tfx.dsl.Pipeline` named after the experiment, its nodes being `NODES`.

  Raises:
    ValueError: there is no test photograph; better now than after training.
  """
  from tfx import v1 as tfx

  from hardmine.components.codec_evaluator.component import CodecEvaluator
  from hardmine.components.patch_gen.component import PatchGen

  patch_gen = PatchGen(config=experiment.mining)
  examples = patch_gen.outputs["examples"]
  validation = stages.validation(site, examples, "patch_example.pbtxt")
  trainer = tfx.components.Trainer(
    run_fn=site.run_fn or RUN_FN,
    examples=examples,
    custom_config={
      "codec": experiment.codec.to_json(),
      "training": experiment.training.to_json(),
      "checkpoint_dir": site.checkpoint_dir(experiment.name),
      **stages.own_code(experiment.codec),
      **_initial_weights(experiment.training.initial_weights),
    },
  )
  trainer.add_upstream_node(validation[-1])
  judgement = stages.judgement(
    experiment,
    site,
    model=trainer.outputs["model"],
    examples=examples,
    evaluator_class=CodecEvaluator,
  )
  nodes = [patch_gen, *validation, trainer, *judgement]
  return stages.pipeline(experiment.name, site, nodes)


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
