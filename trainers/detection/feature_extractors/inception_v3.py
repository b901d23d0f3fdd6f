"""Inception V3 (Szegedy et al., arXiv 1512.00567): factorised convolutions.

The layers are those of `keras.applications.InceptionV3`, in the order in which it
makes them, so that its weights load. SSD predicts from Mixed_5d, Mixed_6e and Mixed_7c,
as the authors' released code does; Keras calls them mixed2, mixed7 and mixed10. Strided
layers are not padded: 35x35, 17x17 and 8x8 maps at 300 pixels.
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

_NAME = re.compile(r"(?:conv2d|batch_normalization)(?:_(\d+))?$")
# Convolutions up to the end of each block: the stem, mixed0 to mixed10.
_ENDS = (5, 12, 19, 26, 30, 40, 50, 60, 70, 76, 85, 94)
_MIXED_6E = 8


class InceptionV3(FeatureExtractor):
  """Width 1 has 21,802,784 parameters."""

  TOP_1 = 78.0
  normalize = staticmethod(minus_one_to_one)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_8` (288 deep at width 1), `stride_16` (768) and `stride_32` (2048)."""
    conv = Convolutions(width, batch_norm_momentum, scale=False, padding="valid")
    finest = _up_to_mixed_5d(images, conv)
    middle = _up_to_mixed_6e(finest, conv)
    return {
      "stride_8": finest,
      "stride_16": middle,
      "stride_32": _up_to_mixed_7c(middle, conv),
    }

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to Mixed_6e, 768 deep at width 1; every layer is padded."""
    require_stride(InceptionV3, output_stride)
    conv = Convolutions(width, batch_norm_momentum, scale=False)
    return _up_to_mixed_6e(_up_to_mixed_5d(images, conv), conv)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """From Mixed_7a, which halves the resolution, to Mixed_7c: 2048 deep at width 1.

    Its strided layers are not padded, as when it was trained on ImageNet: 8x8 of a crop
    of 17x17.
    """
    conv = Convolutions(
      width,
      batch_norm_momentum,
      scale=False,
      padding="valid",
      first=_ENDS[_MIXED_6E],
    )
    return _up_to_mixed_7c(features, conv)

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 for the stem, 1 to 11 for the mixed blocks."""
    match = _NAME.match(layer_name)
    if match is None:
      return None
    number = int(match[1] or 0)
    return next((block for block, end in enumerate(_ENDS) if number < end), None)

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.InceptionV3`; width 1 alone has some."""
    return imagenet_weights(keras.applications.InceptionV3, width)


def _up_to_mixed_5d(images: Any, conv: Convolutions) -> Any:
  features = conv(images, 32, 3, 2)
  features = conv(features, 32, 3, padding=conv.padding)
  features = max_pool(conv(features, 64, 3), padding=conv.padding)
  features = conv(features, 80, 1)
  features = conv(features, 192, 3, padding=conv.padding)
  features = max_pool(features, padding=conv.padding)
  for pooled in (32, 64, 64):
    features = joined(
      conv(features, 64, 1),
      conv.chain(features, (48, 1), (64, 5)),
      conv.chain(features, (64, 1), (96, 3), (96, 3)),
      conv(average_pool(features), pooled, 1),
    )
  return features


def _up_to_mixed_6e(features: Any, conv: Convolutions) -> Any:
  features = joined(
    conv(features, 384, 3, 2),
    conv.chain(features, (64, 1), (96, 3), (96, 3, 2)),
    max_pool(features, padding=conv.padding),
  )
  for inner in (128, 160, 160, 192):
    row, column = (inner, (1, 7)), (inner, (7, 1))
    features = joined(
      conv(features, 192, 1),
      conv.chain(features, (inner, 1), row, (192, (7, 1))),
      conv.chain(features, (inner, 1), column, row, column, (192, (1, 7))),
      conv(average_pool(features), 192, 1),
    )
  return features


def _up_to_mixed_7c(features: Any, conv: Convolutions) -> Any:
  features = joined(
    conv.chain(features, (192, 1), (320, 3, 2)),
    conv.chain(features, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
    max_pool(features, padding=conv.padding),
  )
  for _ in range(2):
    first = conv(features, 320, 1)
    second = conv(features, 384, 1)
    second = joined(conv(second, 384, (1, 3)), conv(second, 384, (3, 1)))
    third = conv.chain(features, (448, 1), (384, 3))
    third = joined(conv(third, 384, (1, 3)), conv(third, 384, (3, 1)))
    pooled = conv(average_pool(features), 192, 1)
    features = joined(first, second, third, pooled)
  return features
