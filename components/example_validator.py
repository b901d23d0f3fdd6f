"""ExampleValidator of a root in a bucket: TFX's own, with the statistics at hand.

The library that reads them does so by TensorFlow's file system.
"""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.example_validator import executor
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs

from hardmine.schemas.local_copies import local_copy

STATISTICS_KEY = standard_component_specs.STATISTICS_KEY


class Executor(executor.Executor):
  """Reads the statistics from a copy on this machine."""

  def Do(
    self,
    input_dict: dict[str, list[types.Artifact]],
    output_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
  ) -> execution_result_pb2.ExecutorOutput:
    given = artifact_utils.get_single_instance(input_dict[STATISTICS_KEY])
    copied = standard_artifacts.ExampleStatistics()
    copied.copy_from(given)
    with local_copy(given.uri) as path:
      copied.uri = path
      inputs = {**input_dict, STATISTICS_KEY: [copied]}
      return super().Do(inputs, output_dict, exec_properties)
