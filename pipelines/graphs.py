"""The graph of an experiment, whichever kind it is of."""

from __future__ import annotations

from hardmine.pipelines import codec, detection
from hardmine.pipelines.site import Site
from hardmine.schemas.experiment import CodecExperiment, DetectionExperiment, Experiment


def nodes_of(experiment: Experiment) -> tuple[str, ...]:
  """The ids of an experiment's nodes, known before TFX is imported."""
  is_detection = isinstance(experiment, DetectionExperiment)
  return detection.NODES if is_detection else codec.NODES


def create_pipeline(experiment: Experiment, site: Site):
  """The `tfx.dsl.Pipeline` of `pipelines.codec` or of `pipelines.detection`.

  Raises:
    ValueError: as these, or the experiment is of neither kind.
  """
  if isinstance(experiment, DetectionExperiment):
    return detection.create_pipeline(experiment, site)
  if isinstance(experiment, CodecExperiment):
    return codec.create_pipeline(experiment, site)
  raise ValueError(
    "Expected a CodecExperiment or a DetectionExperiment. "
    f"Received: {type(experiment).__name__}"
  )
