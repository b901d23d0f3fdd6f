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

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hardmine.components.coco_gen.job import run_job
from hardmine.components.coco_gen.reading import each_input
from hardmine.components.jobs.examples_node import (
  ExamplesExecutor,
  ExamplesSpec,
  FingerprintDriver,
)
from hardmine.components.jobs.shards import tfx_shard_path
from hardmine.components.jobs.source_tables import sources_fingerprint
from hardmine.schemas.conversion_config import ConversionConfig

CONVERSION_KEY = "conversion"


class Executor(ExamplesExecutor):
  """Converts annotated images into splits, with their categories beside them."""

  config_key = CONVERSION_KEY
  config_class = ConversionConfig

  def run_job(
    self,
    config: ConversionConfig,
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
  ) -> dict[str, Any]:
    return run_job(
      config,
      output_dir,
      make_pipeline=make_pipeline,
      shard_path=tfx_shard_path,
      needs_objects=True,
    )

  def summary(self, counts: dict[str, Any]) -> str:
    return (
      f"CocoGen: {counts['used']} of {counts['images']} images with "
      f"{counts['objects']} objects; not usable: {counts['dead_by_reason']}; "
      f"skipped: {counts['skipped_by_reason']}"
    )


class Driver(FingerprintDriver):
  """Notices annotations and images that were added, removed or rewritten."""

  config_key = CONVERSION_KEY
  config_class = ConversionConfig

  def input_fingerprint(self, config: ConversionConfig) -> str:
    return sources_fingerprint(
      file for _, files in each_input(config) for file in files
    )


class CocoGenSpec(ExamplesSpec):
  """`conversion` in, `examples` out."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    CONVERSION_KEY: component_spec.ExecutionParameter(type=str),
  }


class CocoGen(base_beam_component.BaseBeamComponent):
  """Converts annotated images into the splits that the config names.

  The whole config is recorded by ML Metadata, and so is a fingerprint of the
  files it names: changing either converts again, and nothing else does.
  """

  SPEC_CLASS = CocoGenSpec
  EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
  DRIVER_CLASS = Driver

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
