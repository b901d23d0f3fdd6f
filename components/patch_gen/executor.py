"""Runs a mining job inside a TFX pipeline and describes its artifact."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_component_specs

from hardmine.components.jobs.examples_node import describe
from hardmine.components.patch_gen.job import run_job, tfx_layout
from hardmine.schemas.mining_config import MiningConfig

MINING_KEY = "mining"


class Executor(base_beam_executor.BaseBeamExecutor):
  """Mines on the runner that the pipeline's Beam arguments name."""

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
      exec_properties: `mining`, a `MiningConfig` as JSON.

    Raises:
      ValueError: no image, or fewer than two for two splits.
      RuntimeError: too many dead letters, or what was written does not add up.
    """
    self._log_startup(input_dict, output_dict, exec_properties)
    config = MiningConfig.from_json(exec_properties[MINING_KEY])
    examples = artifact_utils.get_single_instance(
      output_dict[standard_component_specs.EXAMPLES_KEY]
    )
    manifest = run_job(
      config,
      examples.uri,
      make_pipeline=self._make_beam_pipeline,
      layout=tfx_layout(config),
    )
    counts = manifest["counts"]
    describe(examples, counts["splits"])
    logging.info(
      "PatchGen: %d patches of %d photographs, %d not usable: %s",
      counts["patches"],
      counts["used"],
      counts["dead"],
      counts["dead_by_reason"],
    )
