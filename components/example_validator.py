"""ExampleValidator of a root in a bucket: TFX's own, with the statistics at hand.

The library that reads them does so by TensorFlow's file system.
"""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.example_validator import executor
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils, standard_component_specs

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
    statistics = artifact_utils.get_single_instance(input_dict[STATISTICS_KEY])
    uri = statistics.uri
    with local_copy(uri) as path:
      # In place, for a copy of the artifact ends the process in protobuf's C++.
      statistics.uri = path
      try:
        return super().Do(input_dict, output_dict, exec_properties)
      finally:
        statistics.uri = uri
