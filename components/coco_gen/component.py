"""CocoGen: an ExampleGen whose source is annotated images.

CocoGen(config=ConversionConfig(sources=(
  AnnotatedFolder(images="train2017", annotations="instances_train2017.json"),
  AnnotatedFolder(
    images="val2017", annotations="instances_val2017.json", split="eval"
  ),
)))

examples/N/
  Split-train/data_tfrecord-00000-of-00004.gz ...    schemas/coco_example
  Split-eval/data_tfrecord-00000-of-00004.gz ...
  categories.json           what a label means (schemas/categories)
  dead_letters.jsonl        images and annotations that could not be used, and why
  manifest.json             checksums, counts
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from hardmine.components.coco_gen import driver, executor
from hardmine.schemas.conversion_config import ConversionConfig


class CocoGenSpec(types.ComponentSpec):
  """`conversion` in, `examples` out."""

  INPUTS: dict = {}  # noqa: RUF012 - TFX's own spelling
  PARAMETERS = {  # noqa: RUF012
    executor.CONVERSION_KEY: component_spec.ExecutionParameter(type=str),
  }
  OUTPUTS = {  # noqa: RUF012
    standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples
    ),
  }


class CocoGen(base_beam_component.BaseBeamComponent):
  """Converts annotated images into the splits that the config names.

  The whole config is recorded by ML Metadata, and so is a fingerprint of the
  files it names: changing either converts again, and nothing else does.
  """

  SPEC_CLASS = CocoGenSpec
  EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
  DRIVER_CLASS = driver.Driver

  def __init__(self, config: ConversionConfig):
    """Makes the node.

    Args:
      config: folders, annotations and splits; relative paths start at the folder
        in which the pipeline runs.
    """
    super().__init__(
      spec=CocoGenSpec(
        conversion=config.to_json(),
        examples=types.Channel(type=standard_artifacts.Examples),
      )
    )
