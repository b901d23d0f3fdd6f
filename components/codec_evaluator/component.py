"""CodecEvaluator: measures a codec on photographs, judges and blesses it.

model ───────────────┐
baseline_model ┄┄┄┄┄ CodecEvaluator ──> evaluation: verdict.json, metrics.json,
examples ┄┄┄┄┄┄┄┄┄┄┄┄┘        │                     report.html
(may be empty)                └───────> blessing (a standard ModelBlessing)
"""

from __future__ import annotations

import contextlib

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from hardmine.components.codec_evaluator import mined_patches, photographs
from hardmine.components.codec_evaluator.evaluate import Evaluation, evaluate
from hardmine.components.codec_evaluator.report import write_evaluation
from hardmine.components.evaluation.evaluator_node import (
  EXAMPLES_KEY,
  Assignment,
  EvaluatorExecutor,
  EvaluatorSpec,
)
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.patch_example import Patch
from hardmine.trainers.codec.codec import Codec

FINGERPRINT_KEY = "images_fingerprint"


class Executor(EvaluatorExecutor):
  """Evaluates on the photographs that the config names; examples only illustrate."""

  name = "CodecEvaluator"
  config_class = CodecEvaluationConfig

  def load(self, path: str) -> Codec:
    return Codec.load(path)

  def evaluate(self, given: Assignment) -> Evaluation:
    config: CodecEvaluationConfig = given.config
    return evaluate(
      given.load_candidate,
      photographs.load(
        photographs.find(config.images, config.max_images, given.report)
      ),
      iterations=config.iterations,
      gates=config.gates,
      load_rival=given.load_rival,
      report=given.report,
    )

  def write(self, directory: str, evaluation: Evaluation, given: Assignment) -> None:
    examples = given.examples
    write_evaluation(
      directory,
      evaluation,
      config=given.config,
      patches=_hardest_patches(examples),
      lineage={
        **given.lineage,
        **({"examples": examples[0].uri} if examples else {}),
        "test images": ", ".join(given.config.images),
        "fingerprint of the images": (
          given.exec_properties.get(FINGERPRINT_KEY) or "unknown"
        ),
      },
    )


class CodecEvaluatorSpec(EvaluatorSpec):
  """The node's inputs, outputs and parameters."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    **EvaluatorSpec.PARAMETERS,
    FINGERPRINT_KEY: component_spec.ExecutionParameter(type=str),
  }
  INPUTS = {  # noqa: RUF012
    **EvaluatorSpec.INPUTS,
    EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples, optional=True
    ),
  }


class CodecEvaluator(base_component.BaseComponent):
  """Blesses a codec that passes every gate of its config.

  The photographs are no artifact, so their fingerprint is a parameter: a changed
  folder is measured again, and the cache misses for nothing else.
  """

  SPEC_CLASS = CodecEvaluatorSpec
  EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

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


def _hardest_patches(examples: list[types.Artifact]) -> list[Patch]:
  """Of the train split; none where it cannot be read, for they only illustrate."""
  if not examples:
    return []
  with contextlib.suppress(RuntimeError, OSError, ValueError, IndexError):
    return mined_patches.hardest(artifact_utils.get_split_uri(examples, "train"))
  logging.warning("CodecEvaluator: no patches can be read from %s", examples[0].uri)
  return []
