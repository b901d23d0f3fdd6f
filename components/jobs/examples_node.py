"""What a node of ours that makes `Examples` shares with TFX's ExampleGens.

The layout of files that every TFX node reads, the properties of the artifact, and
a driver that tells the cache when the input has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from absl import logging
from tfx import types
from tfx.components.example_gen import driver, utils, write_split
from tfx.components.util import examples_utils
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils


def describe(examples: types.Artifact, split_names: Iterable[str]) -> None:
  """Says on the artifact which splits it has and what its files are."""
  examples.split_names = artifact_utils.encode_split_names(sorted(split_names))
  examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
  examples_utils.set_file_format(
    examples,
    write_split.to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP),
  )


class FingerprintDriver(driver.Driver):
  """ExampleGen's driver, with a fingerprint of the files that the config names.

  A config is equal before and after a file was added; the fingerprint is not. As
  an execution property it is part of the cache's key, and ML Metadata keeps it on
  the execution and on the artifact.
  """

  def input_fingerprint(self, exec_properties: dict[str, Any]) -> str:
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
    value = self.input_fingerprint(exec_properties)
    logging.info("%s: fingerprint %s", component_info.component_id, value)
    exec_properties[utils.FINGERPRINT_PROPERTY_NAME] = value
    exec_properties[utils.SPAN_PROPERTY_NAME] = 0
    exec_properties[utils.VERSION_PROPERTY_NAME] = None
    return exec_properties
