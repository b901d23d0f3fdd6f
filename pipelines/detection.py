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

from hardmine.pipelines import initial_weights, stages
from hardmine.pipelines.site import Site
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


def create_pipeline(experiment: DetectionExperiment, site: Site):
  """Builds the graph; the arguments are those of `pipelines.codec.create_pipeline`.

  Returns:
    A `tfx.dsl.Pipeline` named after the experiment, its nodes being `NODES`.

  Raises:
    ValueError: there is no model where the experiment wants to begin.
  """
  from tfx import v1 as tfx

  from hardmine.components.coco_gen.component import CocoGen
  from hardmine.components.detection_evaluator.component import DetectionEvaluator

  experiment, initial = initial_weights.resolved(experiment)
  coco_gen = CocoGen(config=experiment.conversion)
  examples = coco_gen.outputs["examples"]
  validation = stages.validation(site, examples, "coco_example.pbtxt")
  trainer = tfx.components.Trainer(
    run_fn=site.run_fn or RUN_FN,
    examples=examples,
    custom_config={
      "detector": experiment.detector.to_json(),
      "training": experiment.training.to_json(),
      "checkpoint_dir": site.checkpoint_dir(experiment.name),
      **stages.own_code(experiment.detector),
      **initial,
    },
  )
  trainer.add_upstream_node(validation[-1])
  judgement = stages.judgement(
    experiment,
    site,
    model=trainer.outputs["model"],
    examples=examples,
    evaluator_class=DetectionEvaluator,
  )
  nodes = [coco_gen, *validation, trainer, *judgement]
  return stages.pipeline(experiment.name, site, nodes)
