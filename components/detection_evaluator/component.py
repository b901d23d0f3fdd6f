"""DetectionEvaluator: measures a detector on annotated images, judges and blesses it.

model ───────────────┐
baseline_model ┄┄┄┄┄ DetectionEvaluator ──> evaluation: verdict.json, metrics.json,
examples ────────────────┘        │                     report.html, detections.json,
                                  │                     annotations.json
                                  └───────> blessing (a standard ModelBlessing)
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from hardmine.components.detection_evaluator.annotated_set import SplitRecords
from hardmine.components.detection_evaluator.evaluate import Evaluation, evaluate
from hardmine.components.detection_evaluator.report import write_evaluation
from hardmine.components.evaluation.evaluator_node import (
  EXAMPLES_KEY,
  Assignment,
  EvaluatorExecutor,
  EvaluatorSpec,
  place_of,
)
from hardmine.schemas.categories import read_categories
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.trainers.detection.detector import Detector


class Executor(EvaluatorExecutor):
  """Evaluates on the split of the examples that the config names."""

  name = "DetectionEvaluator"
  config_class = DetectionEvaluationConfig

  def load(self, path: str) -> Detector:
    return Detector.load(path)

  def evaluate(self, given: Assignment) -> Evaluation:
    config: DetectionEvaluationConfig = given.config
    examples = artifact_utils.get_single_instance(given.examples)
    split_uri = artifact_utils.get_split_uri([examples], config.split)
    return evaluate(
      given.load_candidate,
      SplitRecords(given.at_hand(split_uri), config.max_images),
      read_categories(examples.uri),
      gates=config.gates,
      load_rival=given.load_rival,
      shown_min_score=config.shown_min_score,
      num_shown=config.num_shown,
      report=given.report,
    )

  def write(self, directory: str, evaluation: Evaluation, given: Assignment) -> None:
    (examples,) = given.examples
    write_evaluation(
      directory,
      evaluation,
      config=given.config,
      lineage={
        **given.lineage,
        "examples": f"{place_of(examples)}, split {given.config.split}",
      },
    )


class DetectionEvaluatorSpec(EvaluatorSpec):
  """The node's inputs, outputs and parameters."""

  INPUTS = {  # noqa: RUF012 - TFX's own spelling
    **EvaluatorSpec.INPUTS,
    EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
  }


class DetectionEvaluator(base_component.BaseComponent):
  """Blesses a detector that passes every gate of its config."""

  SPEC_CLASS = DetectionEvaluatorSpec
  EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

  def __init__(
    self,
    model: types.BaseChannel,
    examples: types.BaseChannel,
    config: DetectionEvaluationConfig,
    baseline_model: types.BaseChannel | None = None,
  ):
    """Makes the node.

    Args:
      model: the candidate, as the Trainer exports it.
      examples: annotated images, as CocoGen writes them.
      config: the split to measure on, and the gates.
      baseline_model: the last blessed model, from a Resolver; it may find none.
    """
    super().__init__(
      spec=DetectionEvaluatorSpec(
        model=model,
        baseline_model=baseline_model,
        examples=examples,
        config=config.to_json(),
        evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
        blessing=types.Channel(type=standard_artifacts.ModelBlessing),
      )
    )
