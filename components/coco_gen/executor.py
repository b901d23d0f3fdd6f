"""Runs a conversion inside a TFX pipeline and describes its artifact."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_component_specs

from hardmine.components.coco_gen.job import run_job
from hardmine.components.jobs.examples_node import describe
from hardmine.components.jobs.shards import tfx_shard_path
from hardmine.schemas.conversion_config import ConversionConfig

CONVERSION_KEY = "conversion"


class Executor(base_beam_executor.BaseBeamExecutor):
  """Converts on the runner that the pipeline's Beam arguments name."""

  def Do(
    self,
    input_dict: dict[str, list[types.Artifact]],
    output_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
  ) -> None:
    """Fills `examples` with the splits, categories, a manifest and dead letters.

    Args:
      input_dict: empty.
      output_dict: `examples`, one `Examples` artifact.
      exec_properties: `conversion`, a `ConversionConfig` as JSON.

    Raises:
      ValueError: annotations that cannot be read or that disagree, or no image.
      RuntimeError: too many dead letters, or what was written does not add up.
    """
    self._log_startup(input_dict, output_dict, exec_properties)
    config = ConversionConfig.from_json(exec_properties[CONVERSION_KEY])
    examples = artifact_utils.get_single_instance(
      output_dict[standard_component_specs.EXAMPLES_KEY]
    )
    manifest = run_job(
      config,
      examples.uri,
      make_pipeline=self._make_beam_pipeline,
      shard_path=tfx_shard_path,
    )
    counts = manifest["counts"]
    describe(examples, counts["splits"])
    logging.info(
      "CocoGen: %d of %d images with %d objects; not usable: %s; skipped: %s",
      counts["used"],
      counts["images"],
      counts["objects"],
      counts["dead_by_reason"],
      counts["skipped_by_reason"],
    )
