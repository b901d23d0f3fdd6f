"""How each family's proposals are looked at, as the study has it."""

from __future__ import annotations

import pytest

from hardmine.schemas.detector_config import FasterRCNNConfig, RFCNConfig
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.two_stage_heads import (
  HEADS,
  head_of,
)


@pytest.mark.parametrize(
  ("family", "crop", "binned"),
  [
    (VGG16, (14, 2), (3, 12)),
    (MobileNetV1, (14, 2), (3, 12)),
    (InceptionV3, (17, 1), (3, 12)),
    (ResNet101, (14, 2), (7, 21)),
    (InceptionResNetV2, (17, 1), (7, 21)),
  ],
)
def test_families_have_the_studys(family, crop, binned):
  head = head_of(FasterRCNNConfig(feature_extractor=family))
  assert (head.crop_px, head.pool) == crop
  head = head_of(RFCNConfig(feature_extractor=family))
  assert (head.bins, head.binned_px) == binned


def test_every_familys_bins_divide_its_crop():
  assert all(head.binned_px % head.bins == 0 for head in HEADS.values())


def test_a_config_says_otherwise():
  config = RFCNConfig(feature_extractor=MobileNetV1, bins=4, crop_px=8)
  assert (head_of(config).bins, head_of(config).binned_px) == (4, 8)
  config = FasterRCNNConfig(feature_extractor=MobileNetV1, crop_px=7)
  assert head_of(config).crop_px == 7


def test_bins_that_do_not_divide_are_refused():
  config = RFCNConfig(feature_extractor=MobileNetV1, bins=5)
  with pytest.raises(ValueError, match=r"bins=5 divides, such as 10\. Received: crop_"):
    head_of(config)
