"""Inception-ResNet V2 (Szegedy et al., arXiv 1602.07261): inception blocks that add up.

The layers are those of `keras.applications.InceptionResNetV2`, in the order in which it
makes them, so that its weights load. SSD predicts from Mixed_6a and Conv2d_7b
(1611.10012, section 3.6). Strided layers are not padded there: 17x17 and 8x8 maps at
300 pixels. Two-stage detectors pad all, so that maps lie on the image.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import (
  Convolutions,
  average_pool,
  joined,
  max_pool,
)
from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  require_stride,
)
from hardmine.trainers.detection.feature_extractors.keras_weights import (
  imagenet_weights,
)
from hardmine.trainers.detection.feature_extractors.preprocessing import (
  minus_one_to_one,
)

# Of each kind of residual block: its branches (depth, kernel), how much of it is added,
# how many there are.
_BRANCHES = {
  "block35": (
    (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    0.17,
    10,
  ),
  "block17": ((((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))), 0.1, 20),
  "block8": ((((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))), 0.2, 10),
}
_BLOCK = re.compile(r"block(35|17|8)_(\d+)_conv$")
_NUMBERED = re.compile(r"(?:conv2d|batch_normalization)(?:_(\d+))?$")
# Blocks before the first of each kind, and convolutions without a name up to the end
# of each part; residual blocks of a kind have equally many.
_FIRST_BLOCK = {"35": 2, "17": 13, "8": 34}
_PARTS = ((0, 5, 0), (1, 12, 0), (2, 72, 6), (12, 76, 0), (13, 156, 4), (33, 163, 0))
_PARTS += ((34, 203, 4),)
_LAST_BLOCK = 44
_FIRST_STAGE_CONVOLUTIONS = 156


class InceptionResNetV2(FeatureExtractor):
  """Width 1 has 54,336,736 parameters."""

  TOP_1 = 80.4
  STRIDES = (8, 16)
  normalize = staticmethod(minus_one_to_one)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (1088 deep at width 1) and `stride_32` (1536)."""
    conv = Convolutions(width, batch_norm_momentum, scale=False, padding="valid")
    finer = _mixed_6a(_before_mixed_6a(images, conv), conv)
    features = _residuals(finer, conv, "block17")
    return {"stride_16": finer, "stride_32": _from_mixed_7a(features, conv)}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to the last 17x17 block, 1088 deep at width 1; every layer is padded.

    At stride 8 Mixed_6a keeps the resolution and the blocks behind it look two
    positions apart, so that they see what they see at stride 16.
    """
    require_stride(InceptionResNetV2, output_stride)
    conv = Convolutions(width, batch_norm_momentum, scale=False)
    atrous = output_stride == 8
    features = _mixed_6a(_before_mixed_6a(images, conv), conv, 1 if atrous else 2)
    return _residuals(features, conv, "block17", dilation=2 if atrous else 1)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """From Mixed_7a, which halves the resolution, to Conv2d_7b: 1536 deep at width 1.

    Its strided layers are not padded, as when it was trained on ImageNet and in the
    released detectors: 8x8 of a crop of 17x17.
    """
    conv = Convolutions(
      width,
      batch_norm_momentum,
      scale=False,
      padding="valid",
      first=_FIRST_STAGE_CONVOLUTIONS,
    )
    return _from_mixed_7a(features, conv)

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 for the stem, then each inception block, up to 44 for the last convolution."""
    if layer_name in ("conv_7b", "conv_7b_bn"):
      return _LAST_BLOCK
    if match := _BLOCK.match(layer_name):
      return _FIRST_BLOCK[match[1]] + int(match[2]) - 1
    match = _NUMBERED.match(layer_name)
    if match is None:
      return None
    number, start = int(match[1] or 0), 0
    for block, end, each in _PARTS:
      if number < end:
        return block + ((number - start) // each if each else 0)
      start = end
    return None

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.InceptionResNetV2`; width 1 alone has some."""
    return imagenet_weights(keras.applications.InceptionResNetV2, width)


def _before_mixed_6a(images: Any, conv: Convolutions) -> Any:
  features = conv(images, 32, 3, 2)
  features = conv(features, 32, 3, padding=conv.padding)
  features = max_pool(conv(features, 64, 3), padding=conv.padding)
  features = conv(features, 80, 1)
  features = conv(features, 192, 3, padding=conv.padding)
  features = max_pool(features, padding=conv.padding)
  features = joined(
    conv(features, 96, 1),
    conv.chain(features, (48, 1), (64, 5)),
    conv.chain(features, (64, 1), (96, 3), (96, 3)),
    conv(average_pool(features), 64, 1),
  )
  return _residuals(features, conv, "block35")


def _mixed_6a(features: Any, conv: Convolutions, strides: int = 2) -> Any:
  return joined(
    conv(features, 384, 3, strides),
    conv.chain(features, (256, 1), (256, 3), (384, 3, strides)),
    max_pool(features, strides, padding=conv.padding),
  )


def _from_mixed_7a(features: Any, conv: Convolutions) -> Any:
  features = joined(
    conv.chain(features, (256, 1), (384, 3, 2)),
    conv.chain(features, (256, 1), (288, 3, 2)),
    conv.chain(features, (256, 1), (288, 3), (320, 3, 2)),
    max_pool(features, padding=conv.padding),
  )
  features = _residuals(features, conv, "block8")
  return conv(features, 1536, 1, name="conv_7b")


def _residuals(features: Any, conv: Convolutions, kind: str, dilation: int = 1) -> Any:
  """All blocks of a kind, each of which adds a share of what its branches say.

  The network's very last adds all of it, as it is.
  """
  branches, share, num_blocks = _BRANCHES[kind]
  for number in range(1, num_blocks + 1):
    mixed = joined(*(conv.chain(features, *s, dilation=dilation) for s in branches))
    added = conv.linear(mixed, features.shape[-1], name=f"{kind}_{number}_conv")
    if kind == "block8" and number == num_blocks:
      features = features + added
    else:
      features = keras.ops.relu(features + share * added)
  return features
