"""PatchGen: an ExampleGen whose source is photographs.

PatchGen(config=MiningConfig(images=("photos/*.png",)))

examples/N/
  Split-train/data_tfrecord-00000-of-00004.gz ...
  Split-eval/data_tfrecord-00000-of-00004.gz ...
  dead_letters.jsonl        files that could not be used, and why
  manifest.json             checksums, counts, the score's definition
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hardmine.components.jobs.examples_node import (
  ExamplesExecutor,
  ExamplesSpec,
  FingerprintDriver,
)
from hardmine.components.jobs.source_tables import patterns_fingerprint
from hardmine.components.patch_gen.job import run_job
from hardmine.components.patch_gen.patch_job import tfx_layout
from hardmine.schemas.mining_config import MiningConfig

MINING_KEY = "mining"


class Executor(ExamplesExecutor):
  """Mines photographs into splits."""

  config_key = MINING_KEY
  config_class = MiningConfig

  def run_job(
    self,
    config: MiningConfig,
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
  ) -> dict[str, Any]:
    return run_job(
      config, output_dir, make_pipeline=make_pipeline, layout=tfx_layout(config)
    )

  def summary(self, counts: dict[str, Any]) -> str:
    return (
      f"PatchGen: {counts['patches']} patches of {counts['used']} photographs, "
      f"{counts['dead']} not usable: {counts['dead_by_reason']}, "
      f"{counts['duplicates']} the same as others, skipped: {counts['skipped']}"
    )


class Driver(FingerprintDriver):
  """Notices photographs that were added, removed or rewritten."""

  config_key = MINING_KEY
  config_class = MiningConfig

  def input_fingerprint(self, config: MiningConfig) -> str:
    return patterns_fingerprint(config.images)


class PatchGenSpec(ExamplesSpec):
  """`mining` in, `examples` out."""

  PARAMETERS = {  # noqa: RUF012 - TFX's own spelling
    MINING_KEY: component_spec.ExecutionParameter(type=str),
  }


class PatchGen(base_beam_component.BaseBeamComponent):
  """Mines photographs into the splits train and eval.

  The whole config is recorded by ML Metadata, and so is a fingerprint of the
  files it matches: changing either mines again, and nothing else does.
  """

  SPEC_CLASS = PatchGenSpec
  EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
  DRIVER_CLASS = Driver

  def __init__(self, config: MiningConfig):
    """Makes the node.

    Args:
      config: globs, recipe and sizes; relative globs start at the folder in which
        the pipeline runs.
    """
    super().__init__(
      spec=PatchGenSpec(
        mining=config.to_json(),
        examples=types.Channel(type=standard_artifacts.Examples),
      )
    )
