"""The frame of our nodes that make `Examples`: TFX's ExampleGens run other sources.

Spec, executor and driver; a node adds its config and its job. The layout of files
and the artifact's properties are those that every TFX node reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import apache_beam as beam
from absl import logging
from tfx import types
from tfx.components.example_gen import driver, utils, write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import (
  artifact_utils,
  component_spec,
  standard_artifacts,
  standard_component_specs,
)

from hardmine.components.jobs.job_identity import identified, run_id
from hardmine.schemas.config import Config

EXAMPLES_KEY = standard_component_specs.EXAMPLES_KEY


class ExamplesSpec(types.ComponentSpec):
  """No input, `examples` out; a node adds the parameter that holds its config."""

  INPUTS: dict = {}  # noqa: RUF012 - TFX's own spelling
  PARAMETERS: dict = {}  # noqa: RUF012
  OUTPUTS = {  # noqa: RUF012
    EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
  }


class ExamplesExecutor(base_beam_executor.BaseBeamExecutor):
  """Runs a job on the runner that the pipeline's Beam arguments name.

  Attributes:
    config_key: the execution property that holds the config as JSON.
    config_class: what it is.
  """

  config_key: ClassVar[str]
  config_class: ClassVar[type[Config]]

  def run_job(
    self, config: Any, output_dir: str, make_pipeline: Callable[[], beam.Pipeline]
  ) -> dict[str, Any]:
    """To be overridden: fills `output_dir` with splits. Returns the manifest."""
    raise NotImplementedError

  def summary(self, counts: dict[str, Any]) -> str:
    """To be overridden: a line about the manifest's counts."""
    raise NotImplementedError

  def Do(
    self,
    input_dict: dict[str, list[types.Artifact]],
    output_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
  ) -> None:
    """Fills `examples` with the splits, a manifest and the dead letters.

    Args:
      input_dict: empty.
      output_dict: `examples`, one `Examples` artifact.
      exec_properties: the config as JSON.

    Raises:
      ValueError: the input cannot be used at all; the job says why.
      RuntimeError: too many dead letters, or what was written does not add up.
    """
    self._log_startup(input_dict, output_dict, exec_properties)
    config = self.config_class.from_json(exec_properties[self.config_key])
    examples = artifact_utils.get_single_instance(output_dict[EXAMPLES_KEY])
    self._beam_pipeline_args = identified(
      self._beam_pipeline_args or (),
      job=self.config_key,
      run=run_id(config.to_json(), examples.uri),
    )
    manifest = self.run_job(config, examples.uri, self._make_beam_pipeline)
    describe(examples, manifest["counts"]["splits"])
    logging.info("%s", self.summary(manifest["counts"]))


class FingerprintDriver(driver.Driver):
  """ExampleGen's driver, with a fingerprint of the files that the config names.

  A config is equal before and after a file was added; the fingerprint is not. As
  an execution property it is part of the cache's key, and ML Metadata keeps it on
  the execution and on the artifact.

  Attributes:
    config_key: the execution property that holds the config as JSON.
    config_class: what it is.
  """

  config_key: ClassVar[str]
  config_class: ClassVar[type[Config]]

  def input_fingerprint(self, config: Any) -> str:
    """To be overridden: changes when an input file does."""
    raise NotImplementedError

  def resolve_exec_properties(
    self,
    exec_properties: dict[str, Any],
    pipeline_info: data_types.PipelineInfo,
    component_info: data_types.ComponentInfo,
  ) -> dict[str, Any]:
    """Adds `input_fingerprint`; our sets have no spans, so `span` is 0."""
    del pipeline_info
    config = self.config_class.from_json(exec_properties[self.config_key])
    value = self.input_fingerprint(config)
    logging.info("%s: fingerprint %s", component_info.component_id, value)
    exec_properties[utils.FINGERPRINT_PROPERTY_NAME] = value
    exec_properties[utils.SPAN_PROPERTY_NAME] = 0
    exec_properties[utils.VERSION_PROPERTY_NAME] = None
    return exec_properties


def describe(examples: types.Artifact, split_names: Iterable[str]) -> None:
  """Says on the artifact which splits it has and what its files are."""
  examples.split_names = artifact_utils.encode_split_names(sorted(split_names))
  examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
  examples_utils.set_file_format(
    examples,
    write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP),
  )
