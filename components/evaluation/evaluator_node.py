"""The frame of our nodes that evaluate a model: spec and executor.

A node adds its config, how its models are loaded, what it evaluates and which files
say so.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import (
  artifact_utils,
  component_spec,
  standard_artifacts,
  standard_component_specs,
)
from tfx.utils import path_utils

from hardmine.components.evaluation.blessing import bless
from hardmine.components.evaluation.report import VERDICT
from hardmine.schemas.config import Config
from hardmine.schemas.local_copies import local_copy, local_output

CONFIG_KEY = "config"
MODEL_KEY = standard_component_specs.MODEL_KEY
BASELINE_MODEL_KEY = standard_component_specs.BASELINE_MODEL_KEY
EXAMPLES_KEY = standard_component_specs.EXAMPLES_KEY
EVALUATION_KEY = standard_component_specs.EVALUATION_KEY
BLESSING_KEY = standard_component_specs.BLESSING_KEY

Artifacts = dict[str, list[types.Artifact]]


class EvaluatorSpec(types.ComponentSpec):
  """What every evaluator has; `examples` are a node's own input."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    CONFIG_KEY: component_spec.ExecutionParameter(type=str),
  }
  INPUTS = {  # noqa: RUF012
    MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
    BASELINE_MODEL_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Model, optional=True
    ),
  }
  OUTPUTS = {  # noqa: RUF012
    EVALUATION_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelEvaluation
    ),
    BLESSING_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.ModelBlessing
    ),
  }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assignment:
  """What an evaluator is to do.

  Attributes:
    config: of the node.
    load_candidate: gives the model; may raise anything.
    load_rival: gives the last blessed model, None if there is none.
    examples: the artifacts of that input, empty where it is absent.
    at_hand: gives the local path of what lies at a URI, to be read until the end of
      the node; a path it gives as it is.
    exec_properties: all of the node's.
    lineage: where the models lie, for the report.
    report: takes lines of progress.
  """

  config: Any
  load_candidate: Callable[[], Any]
  load_rival: Callable[[], Any] | None
  examples: list[types.Artifact]
  at_hand: Callable[[str], str]
  exec_properties: dict[str, Any]
  lineage: dict[str, str]
  report: Callable[[str], None]


class EvaluatorExecutor(base_executor.BaseExecutor):
  """Evaluates, writes the files, and blesses or not.

  Attributes:
    name: begins the lines of the log.
    config_class: of the execution property `config`.
  """

  name: ClassVar[str]
  config_class: ClassVar[type[Config]]

  def load(self, path: str) -> Any:
    """To be overridden: the model in an exported folder."""
    raise NotImplementedError

  def evaluate(self, given: Assignment) -> Any:
    """To be overridden: an evaluation, which has a `verdict`."""
    raise NotImplementedError

  def write(self, directory: str, evaluation: Any, given: Assignment) -> None:
    """To be overridden: writes the evaluation's files."""
    raise NotImplementedError

  def Do(
    self,
    input_dict: Artifacts,
    output_dict: Artifacts,
    exec_properties: dict[str, Any],
  ) -> None:
    """Runs once.

    Args:
      input_dict: `model`; `baseline_model` may be absent or empty, `examples` where
        the node's spec says so.
      output_dict: `evaluation` and `blessing`.
      exec_properties: `config` as JSON, and what the node's spec adds.

    Raises:
      ValueError: there is nothing to evaluate on.
      RuntimeError: what there is is damaged, the model is gone, the rival is and a
        gate compares, or the machine failed. A bad model raises nothing: it is not
        blessed.
    """
    config = self.config_class.from_json(exec_properties[CONFIG_KEY])
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    rival = next(iter(input_dict.get(BASELINE_MODEL_KEY) or []), None)
    if not fileio.exists(model.uri):
      raise RuntimeError(f"{model.uri} is gone: run again without --from")
    with contextlib.ExitStack() as copies:

      def at_hand(uri: str) -> str:
        return copies.enter_context(local_copy(uri))

      given = Assignment(
        config=config,
        load_candidate=self._loader(model, at_hand),
        load_rival=self._loader(rival, at_hand) if rival else None,
        examples=input_dict.get(EXAMPLES_KEY) or [],
        at_hand=at_hand,
        exec_properties=exec_properties,
        lineage={
          "model": place_of(model),
          "last blessed model": place_of(rival) if rival else "none yet",
        },
        report=lambda line: logging.info("%s: %s", self.name, line),
      )
      evaluation = self.evaluate(given)
      place = artifact_utils.get_single_uri(output_dict[EVALUATION_KEY])
      with local_output(place, last=[VERDICT]) as directory:
        self.write(directory, evaluation, given)
    bless(
      artifact_utils.get_single_instance(output_dict[BLESSING_KEY]),
      passed=evaluation.verdict.passed,
      model=model,
      rival=rival,
      component_id=exec_properties.get("current_component_id"),
    )

  def _loader(
    self, model: types.Artifact, at_hand: Callable[[str], str]
  ) -> Callable[[], Any]:
    # Looked for when called: a folder without a model is the model's fault.
    def load() -> Any:
      if not fileio.exists(model.uri):
        raise FileNotFoundError(f"{model.uri} is gone")
      return self.load(at_hand(path_utils.serving_model_path(model.uri)))

    return load


def place_of(artifact: types.Artifact) -> str:
  """Where an artifact lies and what ML Metadata calls it."""
  return f"{artifact.uri} (artifact {artifact.id})"
