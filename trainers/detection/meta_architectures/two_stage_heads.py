"""What the two-stage detectors do with each family of backbones.

Crops are the supplement's of 1611.10012. Where the configurations that its authors
released pool crops of 14 to 7, so is it done here; for VGG the paper says so itself.
R-FCN behind VGG and Inception V3, which the paper leaves out, has the smaller of its
bins, those of backbones that halve the map once more.
"""

from __future__ import annotations

import dataclasses

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import FasterRCNNConfig, RFCNConfig
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.families import entry_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoStageHead:
  """How the second stage looks at proposals.

  Attributes:
    crop_px: side of Faster R-CNN's crops.
    pool: of how many points a side the maximum is taken before the second stage.
    bins: of R-FCN, parts of a proposal's side.
    binned_px: side of R-FCN's crops, a multiple of `bins`.
  """

  crop_px: int = 14
  pool: int = 2
  bins: int = 3
  binned_px: int = 12


HEADS: dict[type[FeatureExtractor], TwoStageHead] = {
  MobileNetV1: TwoStageHead(),
  VGG16: TwoStageHead(),
  InceptionV2: TwoStageHead(),
  InceptionV3: TwoStageHead(crop_px=17, pool=1),
  ResNet101: TwoStageHead(bins=7, binned_px=21),
  InceptionResNetV2: TwoStageHead(crop_px=17, pool=1, bins=7, binned_px=21),
}


def head_of(config: FasterRCNNConfig) -> TwoStageHead:
  """The head of the config's family, and what the config says instead.

  Raises:
    ValueError: crops of an R-FCN that its bins do not divide.
  """
  head = entry_of(HEADS, config.feature_extractor, TwoStageHead)
  if isinstance(config, RFCNConfig):
    bins = config.bins or head.bins
    crop_px = config.crop_px or head.binned_px
    require(
      crop_px % bins == 0,
      f"a crop_px that bins={bins} divides, such as {max(1, crop_px // bins) * bins}",
      crop_px=crop_px,
    )
    return dataclasses.replace(head, bins=bins, binned_px=crop_px)
  return dataclasses.replace(head, crop_px=config.crop_px or head.crop_px)
