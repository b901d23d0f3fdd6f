"""Tells TFX's cache what CocoGen's input looks like now."""

from __future__ import annotations

from typing import Any

from hardmine.components.coco_gen.executor import CONVERSION_KEY
from hardmine.components.coco_gen.job import input_fingerprint
from hardmine.components.coco_gen.reading import input_files
from hardmine.components.jobs.examples_node import FingerprintDriver
from hardmine.schemas.conversion_config import ConversionConfig


class Driver(FingerprintDriver):
  """Notices annotations and images that were added, removed or rewritten."""

  def input_fingerprint(self, exec_properties: dict[str, Any]) -> str:
    config = ConversionConfig.from_json(exec_properties[CONVERSION_KEY])
    return input_fingerprint(input_files(config))
