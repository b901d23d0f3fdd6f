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

from hardmine.pipelines import initial_weights, stages
from hardmine.pipelines.site import Site
from hardmine.schemas.experiment import CodecExperiment

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
    ValueError: there is no test photograph, or nothing where the experiment wants to
      begin; better now than after training.
  """
  from tfx import v1 as tfx

  from hardmine.components.codec_evaluator.component import CodecEvaluator
  from hardmine.components.patch_gen.component import PatchGen

  experiment, initial = initial_weights.resolved(experiment)
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
      **initial,
      **_entropy_images(experiment),
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


def _entropy_images(experiment: CodecExperiment) -> dict[str, list[str]]:
  """The photographs that an entropy model is fitted to, where one is."""
  from hardmine.components.jobs.sources import list_sources
  from hardmine.trainers.codec.entropy_fitting.photographs import spread

  entropy = experiment.training.entropy
  if entropy is None:
    return {}
  sources, _ = list_sources(entropy.images or experiment.mining.images)
  paths = [source.path for source in sources if not source.is_directory]
  return {"entropy_images": spread(paths, entropy.max_images)}
