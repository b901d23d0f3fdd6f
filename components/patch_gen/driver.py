"""Tells TFX's cache what PatchGen's input looks like now.

The globs alone are equal before and after a photograph was added; their
fingerprint is not. As an execution property it is part of the cache's key, and
ML Metadata keeps it on the execution and on the artifact.
"""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx.components.example_gen import driver as example_gen_driver
from tfx.components.example_gen import utils
from tfx.orchestration import data_types

from components.patch_gen.executor import MINING_KEY
from components.patch_gen.sources import fingerprint, list_sources
from schemas.mining_config import MiningConfig


class Driver(example_gen_driver.Driver):
  """ExampleGen's driver, with the fingerprint of the photographs."""

  def resolve_exec_properties(
    self,
    exec_properties: dict[str, Any],
    pipeline_info: data_types.PipelineInfo,
    component_info: data_types.ComponentInfo,
  ) -> dict[str, Any]:
    """Adds `input_fingerprint`; patches have no spans, so `span` is 0."""
    del pipeline_info, component_info
    config = MiningConfig.from_json(exec_properties[MINING_KEY])
    sources, _ = list_sources(config.images)
    value = fingerprint(sources)
    logging.info("PatchGen: %d files, fingerprint %s", len(sources), value)
    exec_properties[utils.FINGERPRINT_PROPERTY_NAME] = value
    exec_properties[utils.SPAN_PROPERTY_NAME] = 0
    exec_properties[utils.VERSION_PROPERTY_NAME] = None
    return exec_properties
