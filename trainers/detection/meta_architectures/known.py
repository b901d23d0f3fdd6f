"""Which meta-architecture a config describes: the one place that knows them all."""

from __future__ import annotations

from typing import Any

from hardmine.schemas.config import Config
from hardmine.schemas.detector_config import FasterRCNNConfig, RFCNConfig, SSDConfig
from hardmine.trainers.detection.meta_architectures.faster_rcnn import FasterRCNN
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.meta_architectures.rfcn import RFCN
from hardmine.trainers.detection.meta_architectures.ssd import SSD

META_ARCHITECTURES: dict[type[Config], type[MetaArchitecture]] = {
  SSDConfig: SSD,
  FasterRCNNConfig: FasterRCNN,
  RFCNConfig: RFCN,
}


def meta_architecture(config: Any) -> type[MetaArchitecture]:
  """The class whose instances are networks of this config.

  Raises:
    ValueError: there is none.
  """
  found = META_ARCHITECTURES.get(type(config))
  if found is None:
    known = ", ".join(kind.__name__ for kind in META_ARCHITECTURES)
    raise ValueError(
      f"Expected the config of a meta-architecture, that is one of {known}. "
      f"Received: config={config!r}"
    )
  return found
