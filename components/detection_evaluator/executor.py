"""What DetectionEvaluator does when its turn comes."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from hardmine.components.detection_evaluator.annotated_set import SplitRecords
from hardmine.components.detection_evaluator.evaluate import evaluate
from hardmine.components.detection_evaluator.report import write_evaluation
from hardmine.components.evaluation.blessing import bless
from hardmine.schemas.categories import read_categories
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.trainers.detection.detector import Detector

CONFIG_KEY = "config"
MODEL_KEY = standard_component_specs.MODEL_KEY
BASELINE_MODEL_KEY = standard_component_specs.BASELINE_MODEL_KEY
EXAMPLES_KEY = standard_component_specs.EXAMPLES_KEY
EVALUATION_KEY = standard_component_specs.EVALUATION_KEY
BLESSING_KEY = standard_component_specs.BLESSING_KEY

Artifacts = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
  """Evaluates, writes the files, and blesses or not."""

  def Do(
    self,
    input_dict: Artifacts,
    output_dict: Artifacts,
    exec_properties: dict[str, Any],
  ) -> None:
    """Runs once.

    Args:
      input_dict: `model` and `examples`; `baseline_model` may be absent or empty.
      output_dict: `evaluation` and `blessing`.
      exec_properties: `config`, a DetectionEvaluationConfig as JSON.

    Raises:
      ValueError: the examples have no such split, or no image in it.
      RuntimeError: they are damaged. A bad model raises nothing: it is not blessed.
    """
    config = DetectionEvaluationConfig.from_json(exec_properties[CONFIG_KEY])
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    examples = artifact_utils.get_single_instance(input_dict[EXAMPLES_KEY])
    rivals = input_dict.get(BASELINE_MODEL_KEY) or []
    evaluation = evaluate(
      lambda: _load(model),
      SplitRecords(
        artifact_utils.get_split_uri([examples], config.split), config.max_images
      ),
      read_categories(examples.uri),
      gates=config.gates,
      load_rival=(lambda: _load(rivals[0])) if rivals else None,
      shown_min_score=config.shown_min_score,
      num_shown=config.num_shown,
      report=lambda line: logging.info("DetectionEvaluator: %s", line),
    )
    write_evaluation(
      artifact_utils.get_single_uri(output_dict[EVALUATION_KEY]),
      evaluation,
      config=config,
      lineage={
        "model": f"{model.uri} (artifact {model.id})",
        "last blessed model": (
          f"{rivals[0].uri} (artifact {rivals[0].id})" if rivals else "none yet"
        ),
        "examples": f"{examples.uri} (artifact {examples.id}), split {config.split}",
      },
    )
    bless(
      artifact_utils.get_single_instance(output_dict[BLESSING_KEY]),
      passed=evaluation.verdict.passed,
      model=model,
      rival=rivals[0] if rivals else None,
      component_id=exec_properties.get("current_component_id"),
    )


def _load(model: types.Artifact) -> Detector:
  return Detector.load(path_utils.serving_model_path(model.uri))
