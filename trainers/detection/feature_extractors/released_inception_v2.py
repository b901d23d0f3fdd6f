"""Inception V2 as the study's authors released it in detectors.

Beside slim's classifier, their batch normalisation has a factor of its own and follows
the first, separable convolution too; in SSD all activations stop at 6.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import (
  Convolutions,
  max_pool,
  scaled,
)
from hardmine.trainers.detection.feature_extractors.extractor import require_stride
from hardmine.trainers.detection.feature_extractors.inception_v2 import (
  STEM_MULTIPLIER,
  InceptionV2,
  blocks,
)


class ReleasedInceptionV2(InceptionV2):
  """Of Faster R-CNN: activations without an end."""

  LIMIT: ClassVar[float | None] = None

  @classmethod
  def feature_maps(
    cls, images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (576 deep at width 1) and `stride_32` (1024)."""
    conv = _Convolutions(width, batch_norm_momentum, cls.LIMIT)
    finer = blocks(_stem(images, conv), conv, "3b", "4c")
    return {"stride_16": finer, "stride_32": blocks(finer, conv, "4d", "5c")}

  @classmethod
  def first_stage(
    cls, images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to Mixed_4e, 576 deep at width 1."""
    require_stride(cls, output_stride)
    conv = _Convolutions(width, batch_norm_momentum, cls.LIMIT)
    return blocks(_stem(images, conv), conv, "3b", "4e")

  @classmethod
  def second_stage(cls, features: Any, width: float, batch_norm_momentum: float) -> Any:
    """From Mixed_5a, which halves the resolution, to Mixed_5c: 1024 deep at width 1."""
    conv = _Convolutions(width, batch_norm_momentum, cls.LIMIT)
    return blocks(features, conv, "5a", "5c")

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """None: Keras brings no such model."""
    return InceptionV2.imagenet_weights(width)


class ReleasedInceptionV2Relu6(ReleasedInceptionV2):
  """Of SSD: activations stop at 6."""

  LIMIT: ClassVar[float | None] = 6.0


class _Convolutions(Convolutions):
  """With activations that stop at a limit."""

  def __init__(self, width: float, batch_norm_momentum: float, limit: float | None):
    super().__init__(width, batch_norm_momentum)
    self.momentum, self._limit = batch_norm_momentum, limit

  def __call__(self, *arguments: Any, **options: Any) -> Any:
    return self.activated(super().__call__(*arguments, **options, activation=None))

  def activated(self, features: Any) -> Any:
    """What lies behind every convolution's normalisation."""
    return keras.layers.ReLU(self._limit)(features)


def _stem(images: Any, conv: _Convolutions) -> Any:
  name = "Conv2d_1a_7x7"
  features = keras.layers.SeparableConv2D(
    scaled(64, conv.width),
    7,
    2,
    padding="same",
    depth_multiplier=STEM_MULTIPLIER,
    use_bias=False,
    name=name,
  )(images)
  features = keras.layers.BatchNormalization(
    momentum=conv.momentum, epsilon=1e-3, name=f"{name}_bn"
  )(features)
  features = conv(max_pool(conv.activated(features)), 64, 1, name="Conv2d_2b_1x1")
  return max_pool(conv(features, 192, 3, name="Conv2d_2c_3x3"))
