"""Tells TFX's cache what PatchGen's input looks like now."""

from __future__ import annotations

from typing import Any

from components.examples_artifact import FingerprintDriver
from components.patch_gen.executor import MINING_KEY
from components.sources import fingerprint, list_sources
from schemas.mining_config import MiningConfig


class Driver(FingerprintDriver):
  """Notices photographs that were added, removed or rewritten."""

  def input_fingerprint(self, exec_properties: dict[str, Any]) -> str:
    config = MiningConfig.from_json(exec_properties[MINING_KEY])
    sources, _ = list_sources(config.images)
    return fingerprint(sources)
