"""What CodecEvaluator does when its turn comes."""

from __future__ import annotations

import contextlib
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from hardmine.components.codec_evaluator import mined_patches, photographs
from hardmine.components.codec_evaluator.evaluate import evaluate
from hardmine.components.codec_evaluator.report import write_evaluation
from hardmine.components.evaluation.blessing import bless
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.patch_example import Patch
from hardmine.trainers.codec.codec import Codec

CONFIG_KEY = "config"
FINGERPRINT_KEY = "images_fingerprint"
MODEL_KEY = standard_component_specs.MODEL_KEY
BASELINE_MODEL_KEY = standard_component_specs.BASELINE_MODEL_KEY
EXAMPLES_KEY = standard_component_specs.EXAMPLES_KEY
EVALUATION_KEY = standard_component_specs.EVALUATION_KEY
BLESSING_KEY = standard_component_specs.BLESSING_KEY

Artifacts = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
  """Evaluates, writes the three files, and blesses or not."""

  def Do(
    self,
    input_dict: Artifacts,
    output_dict: Artifacts,
    exec_properties: dict[str, Any],
  ) -> None:
    """Runs once.

    Args:
      input_dict: `model`; `baseline_model` and `examples` may be absent or empty.
      output_dict: `evaluation` and `blessing`.
      exec_properties: `config`, a CodecEvaluationConfig as JSON.

    Raises:
      ValueError: the test images cannot be used. A bad model raises nothing: it is
        not blessed.
    """
    config = CodecEvaluationConfig.from_json(exec_properties[CONFIG_KEY])
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    rivals = input_dict.get(BASELINE_MODEL_KEY) or []
    images = photographs.load(photographs.find(config.images, config.max_images))
    evaluation = evaluate(
      lambda: Codec.load(path_utils.serving_model_path(model.uri)),
      images,
      iterations=config.iterations,
      gates=config.gates,
      load_rival=(
        (lambda: Codec.load(path_utils.serving_model_path(rivals[0].uri)))
        if rivals
        else None
      ),
      report=lambda line: logging.info("CodecEvaluator: %s", line),
    )
    assert evaluation.verdict is not None
    examples = input_dict.get(EXAMPLES_KEY) or []
    write_evaluation(
      artifact_utils.get_single_uri(output_dict[EVALUATION_KEY]),
      evaluation,
      config=config,
      patches=_hardest_patches(examples),
      lineage={
        "model": f"{model.uri} (artifact {model.id})",
        "last blessed model": (
          f"{rivals[0].uri} (artifact {rivals[0].id})" if rivals else "none yet"
        ),
        **({"examples": examples[0].uri} if examples else {}),
        "test images": ", ".join(config.images),
        "fingerprint of the images": exec_properties.get(FINGERPRINT_KEY) or "unknown",
      },
    )
    bless(
      artifact_utils.get_single_instance(output_dict[BLESSING_KEY]),
      passed=evaluation.verdict.passed,
      model=model,
      rival=rivals[0] if rivals else None,
      component_id=exec_properties.get("current_component_id"),
    )


def _hardest_patches(examples: list[types.Artifact]) -> list[Patch]:
  """Of the train split; none where it cannot be read, for they only illustrate."""
  if not examples:
    return []
  with contextlib.suppress(RuntimeError, OSError, ValueError, IndexError):
    return mined_patches.hardest(artifact_utils.get_split_uri(examples, "train"))
  logging.warning("CodecEvaluator: no patches can be read from %s", examples[0].uri)
  return []
