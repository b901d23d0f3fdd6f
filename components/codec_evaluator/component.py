"""CodecEvaluator: measures a codec on photographs, judges and blesses it.

model ───────────────┐
baseline_model ┄┄┄┄┄ CodecEvaluator ──> evaluation: verdict.json, metrics.json,
examples ┄┄┄┄┄┄┄┄┄┄┄┄┘        │                     report.html
(may be empty)                └───────> blessing (a standard ModelBlessing)
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hardmine.components.codec_evaluator import executor, photographs
from hardmine.schemas.evaluation_config import CodecEvaluationConfig


class CodecEvaluatorSpec(types.ComponentSpec):
  """The node's inputs, outputs and parameters."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    executor.CONFIG_KEY: component_spec.ExecutionParameter(type=str),
    executor.FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
  }
  INPUTS = {  # noqa: RUF012
    executor.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    executor.BASELINE_MODEL_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Model, optional=True
    ),
    executor.EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples, optional=True
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


class CodecEvaluator(base_component.BaseComponent):
  """Blesses a codec that passes every gate of its config.

  The photographs are no artifact, so their fingerprint is a parameter: a changed
  folder is measured again, and the cache misses for nothing else.
  """

  SPEC_CLASS = CodecEvaluatorSpec
  EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

  def __init__(
    self,
    model: types.BaseChannel,
    config: CodecEvaluationConfig,
    baseline_model: types.BaseChannel | None = None,
    examples: types.BaseChannel | None = None,
    images_fingerprint: str | None = None,
  ):
    """Makes the node.

    Args:
      model: the candidate, as the Trainer exports it.
      config: test images, operating points and gates.
      baseline_model: the last blessed model, from a Resolver; it may find none.
      examples: mined patches, for the report's contact sheet.
      images_fingerprint: None looks at the test images now.
    """
    if images_fingerprint is None:
      images_fingerprint = photographs.fingerprint(config.images, config.max_images)
    super().__init__(
      spec=CodecEvaluatorSpec(
        model=model,
        baseline_model=baseline_model,
        examples=examples,
        config=config.to_json(),
        images_fingerprint=images_fingerprint,
        evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
        blessing=types.Channel(type=standard_artifacts.ModelBlessing),
      )
    )
