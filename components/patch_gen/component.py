"""PatchGen: an ExampleGen whose source is photographs.

PatchGen(config=MiningConfig(images=("photos/*.png",)))

examples/N/
  Split-train/data_tfrecord-00000-of-00004.gz ...
  Split-eval/data_tfrecord-00000-of-00004.gz ...
  dead_letters.jsonl        files that could not be used, and why
  manifest.json             checksums, counts, the score's definition
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts, standard_component_specs

from hardmine.components.patch_gen import driver, executor
from hardmine.schemas.mining_config import MiningConfig


class PatchGenSpec(types.ComponentSpec):
  """`mining` in, `examples` out."""

  INPUTS: dict = {}  # noqa: RUF012 - TFX's own spelling
  PARAMETERS = {  # noqa: RUF012
    executor.MINING_KEY: component_spec.ExecutionParameter(type=str),
  }
  OUTPUTS = {  # noqa: RUF012
    standard_component_specs.EXAMPLES_KEY: component_spec.ChannelParameter(
      type=standard_artifacts.Examples
    ),
  }


class PatchGen(base_beam_component.BaseBeamComponent):
  """Mines photographs into the splits train and eval.

  The whole config is recorded by ML Metadata, and so is a fingerprint of the
  files it matches: changing either mines again, and nothing else does.
  """

  SPEC_CLASS = PatchGenSpec
  EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
  DRIVER_CLASS = driver.Driver

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
