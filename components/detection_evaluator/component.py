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
from tfx.types import component_spec, standard_artifacts

from hardmine.components.detection_evaluator import executor
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig


class DetectionEvaluatorSpec(types.ComponentSpec):
  """The node's inputs, outputs and parameters."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    executor.CONFIG_KEY: component_spec.ExecutionParameter(type=str),
  }
  INPUTS = {  # noqa: RUF012
    executor.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    executor.BASELINE_MODEL_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Model, optional=True
    ),
    executor.EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples
    ),
  }
  OUTPUTS = {  # noqa: RUF012
    executor.EVALUATION_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelEvaluation
    ),
    executor.BLESSING_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelBlessing
    ),
  }


class DetectionEvaluator(base_component.BaseComponent):
  """Blesses a detector that passes every gate of its config."""

  SPEC_CLASS = DetectionEvaluatorSpec
  EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

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
