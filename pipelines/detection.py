"""The detection pipeline: convert, validate, train, measure, check, push.

      CocoGen ──> StatisticsGen ──> ExampleValidator ──> DataCheck
         │                              │                   ┊
         │        ImportSchemaGen ──────┘                   ┊ (waits)
         ├───────────────────────> Trainer <┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┘
         │                          │   │
         │    Rival ────────────┐   │   ├──> InfraCheck
         │  (the last blessed)  v   v   v       │
         └─────────────> DetectionEvaluator     │
              (split eval)          └──> Pusher <┘    blessed by both, or nothing

The same graph runs under every orchestrator.
"""

from __future__ import annotations

import os

from hardmine.pipelines import stages
from hardmine.schemas.experiment import DetectionExperiment

# TFX imports take half a minute: inside the functions.

NODES = (
  "CocoGen",
  "StatisticsGen",
  "ImportSchemaGen",
  "ExampleValidator",
  "DataCheck",
  "Trainer",
  "Rival",
  "InfraCheck",
  "DetectionEvaluator",
  "Pusher",
)
RUN_FN = "hardmine.trainers.detection.run_fn.run_fn"


def create_pipeline(
  experiment: DetectionExperiment,
  root: str,
  *,
  metadata=None,
  beam_pipeline_args: list | None = None,
  enable_cache: bool = True,
  store: str | None = None,
  rival_strategy: type | None = None,
  run_fn: str = RUN_FN,
):
  """Builds the graph; the arguments are those of `pipelines.codec.create_pipeline`.

  Returns:
    A `tfx.dsl.Pipeline` named after the experiment, its nodes being `NODES`.
  """
  from tfx import v1 as tfx

  from hardmine.components.coco_gen.component import CocoGen
  from hardmine.components.detection_evaluator.component import DetectionEvaluator
  from hardmine.components.infra_check import InfraCheck

  coco_gen = CocoGen(config=experiment.conversion)
  examples = coco_gen.outputs["examples"]
  validation = stages.validation(examples, "coco_example.pbtxt")
  trainer = tfx.components.Trainer(
    run_fn=run_fn,
    examples=examples,
    custom_config={
      "detector": experiment.detector.to_json(),
      "training": experiment.training.to_json(),
      "checkpoint_dir": stages.checkpoint_dir(experiment.name, root),
    },
  )
  trainer.add_upstream_node(validation[-1])
  model = trainer.outputs["model"]
  rival = stages.rival(model, rival_strategy)
  infra = InfraCheck(model=model)
  evaluator = DetectionEvaluator(
    model=model,
    baseline_model=rival.outputs["model"],
    examples=examples,
    config=experiment.evaluation,
  )
  evaluator.add_upstream_node(infra)  # seconds before minutes
  pusher = stages.pusher(
    experiment,
    root,
    store,
    model=model,
    evaluator=evaluator,
    infra=infra,
    examples=examples,
  )
  return tfx.dsl.Pipeline(
    pipeline_name=experiment.name,
    pipeline_root=os.path.join(root, "artifacts"),
    metadata_connection_config=metadata,
    components=[coco_gen, *validation, trainer, rival, infra, evaluator, pusher],
    enable_cache=enable_cache,
    beam_pipeline_args=beam_pipeline_args,
  )
