"""Tells TFX's cache what PatchGen's input looks like now."""

from __future__ import annotations

from typing import Any

from hardmine.components.jobs.examples_node import FingerprintDriver
from hardmine.components.jobs.sources import fingerprint, list_sources
from hardmine.components.patch_gen.executor import MINING_KEY
from hardmine.schemas.mining_config import MiningConfig


class Driver(FingerprintDriver):
  """Notices photographs that were added, removed or rewritten."""

  def input_fingerprint(self, exec_properties: dict[str, Any]) -> str:
    config = MiningConfig.from_json(exec_properties[MINING_KEY])
    sources, _ = list_sources(config.images)
    return fingerprint(sources)
