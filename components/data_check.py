"""DataCheck: stops the pipeline where ExampleValidator found anomalies.

ExampleValidator itself only writes them down, and training would go on.
"""

# No `from __future__ import annotations`: TFX reads the annotations as types, in a
# spelling that no type checker follows.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import os

from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils


def anomalies_in(uri: str, split: str) -> dict[str, str]:
  """What TFDV found wrong: feature name (or `dataset`) to a sentence."""
  from tensorflow_metadata.proto.v0 import anomalies_pb2

  folder = os.path.join(uri, f"Split-{split}")
  content = io_utils.read_bytes_file(os.path.join(folder, "SchemaDiff.pb"))
  found = anomalies_pb2.Anomalies.FromString(content)
  sentences = {name: info.description for name, info in found.anomaly_info.items()}
  if found.HasField("dataset_anomaly_info"):
    sentences["dataset"] = found.dataset_anomaly_info.description
  return sentences


@tfx.dsl.components.component
def DataCheck(
  anomalies: tfx.dsl.components.InputArtifact[standard_artifacts.ExampleAnomalies],
) -> None:
  """Raises ValueError with every anomaly, feature by feature, if there is one."""
  found = [
    f"{split}: {name}: {sentence}"
    for split in artifact_utils.decode_split_names(anomalies.split_names)
    for name, sentence in anomalies_in(anomalies.uri, split).items()
  ]
  if found:
    raise ValueError(  # another try would end so too
      f"the examples break their schema ({'; '.join(found)}); details: {anomalies.uri}"
    )
