"""What SSD adds behind each family of backbones (1611.10012, section 3.6).

The depths of the extra maps are the supplement's. The predictors' kernels are those of
the configurations that the study's authors released: 1x1 behind MobileNet, 3x3 behind
the others.
"""

from __future__ import annotations

import dataclasses

from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.families import entry_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
  """The layers of an SSD that are not its backbone's.

  Attributes:
    extra_depths: of the maps behind the backbone's own, each half as wide.
    predictor_kernel: side of the predictor convolutions.
    relu_limit: what the added layers' activation stops at; None: nothing.
  """

  extra_depths: tuple[int, ...] = (512, 256, 256, 128)
  predictor_kernel: int = 3
  relu_limit: float | None = 6.0


HEADS: dict[type[FeatureExtractor], Head] = {
  MobileNetV1: Head(predictor_kernel=1),
  VGG16: Head(extra_depths=(512, 256, 256, 256, 256)),
  InceptionV3: Head(extra_depths=(512, 256, 128)),
  ResNet101: Head(extra_depths=(512, 512, 256, 256, 128)),
  InceptionResNetV2: Head(extra_depths=(512, 256, 128), relu_limit=None),
}


def head_of(extractor: type[FeatureExtractor]) -> Head:
  """The head of a family, see `families.entry_of`."""
  return entry_of(HEADS, extractor, Head)
