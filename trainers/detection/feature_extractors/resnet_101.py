"""ResNet-101 (He et al., arXiv 1512.03385): bottlenecks around which features pass.

The layers, their biases and their places of stride are those of
`keras.applications.ResNet101`, so that its weights load. SSD predicts from the last
layer of conv4 and from the maps that it adds (1611.10012, section 3.6), the fifth of
which the study gave no backbone's layer for. A two-stage detector's first stage ends
with conv4 too.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import Convolutions
from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  require_stride,
)
from hardmine.trainers.detection.feature_extractors.keras_weights import (
  imagenet_weights,
)
from hardmine.trainers.detection.feature_extractors.preprocessing import (
  bgr_without_mean,
)

# Depth of the bottleneck and blocks of each stage from conv2 on.
STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 23), 5: (512, 3)}
_NAME = re.compile(r"conv(\d)(?:_block(\d+)_\d)?_(?:conv|bn)$")


class ResNet101(FeatureExtractor):
  """Width 1 up to conv5 has 42,658,176 parameters, 52,672 of them Keras' biases."""

  TOP_1 = 76.4
  STRIDES = (8, 16)
  normalize = staticmethod(bgr_without_mean)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (1024 deep at width 1)."""
    return {"stride_16": ResNet101.first_stage(images, width, batch_norm_momentum)}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to conv4, 1024 deep at width 1.

    At stride 8 conv4 keeps the resolution and looks two positions apart, so that it
    sees what it sees at stride 16.
    """
    require_stride(ResNet101, output_stride)
    conv = _convolutions(width, batch_norm_momentum)
    features = _stem(images, conv)
    features = _stage(_stage(features, conv, 2), conv, 3, strides=2)
    if output_stride == 8:
      return _stage(features, conv, 4, dilation=2)
    return _stage(features, conv, 4, strides=2)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """conv5, 2048 deep at width 1; it keeps the resolution, as in the study."""
    return _stage(features, _convolutions(width, batch_norm_momentum), 5)

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 for the first convolution, 1 to 33 for the bottlenecks."""
    match = _NAME.match(layer_name)
    if match is None:
      return None
    stage, number = int(match[1]), int(match[2] or 0)
    return sum(blocks for at, (_, blocks) in STAGES.items() if at < stage) + number

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.ResNet101`; width 1 alone has some."""
    return imagenet_weights(keras.applications.ResNet101, width)


def _convolutions(width: float, batch_norm_momentum: float) -> Convolutions:
  return Convolutions(width, batch_norm_momentum, epsilon=1.001e-5)


def _stem(images: Any, conv: Convolutions) -> Any:
  features = keras.layers.ZeroPadding2D(3)(images)
  features = conv(
    features,
    64,
    7,
    2,
    name="conv1_conv",
    norm_name="conv1_bn",
    padding="valid",
    use_bias=True,
  )
  features = keras.layers.ZeroPadding2D(1)(features)
  return keras.layers.MaxPooling2D(3, 2)(features)


def _stage(
  features: Any, conv: Convolutions, number: int, strides: int = 1, dilation: int = 1
) -> Any:
  """All bottlenecks of a stage; the first has its stride and a shortcut of its own."""
  depth, blocks = STAGES[number]
  for block in range(1, blocks + 1):
    name = f"conv{number}_block{block}"
    if block == 1:
      features = _bottleneck(features, conv, name, depth, dilation, strides, True)
    else:
      features = _bottleneck(features, conv, name, depth, dilation)
  return features


def _bottleneck(
  features: Any,
  conv: Convolutions,
  name: str,
  depth: int,
  dilation: int,
  strides: int = 1,
  projects: bool = False,
) -> Any:
  def layer(inputs: Any, number: int, depth: int, kernel: int, strides: int = 1) -> Any:
    return conv(
      inputs,
      depth,
      kernel,
      strides,
      name=f"{name}_{number}_conv",
      norm_name=f"{name}_{number}_bn",
      dilation=dilation if kernel > 1 else 1,
      use_bias=True,
      activation="relu" if number in (1, 2) else None,
    )

  shortcut = layer(features, 0, 4 * depth, 1, strides) if projects else features
  features = layer(features, 1, depth, 1, strides)
  features = layer(features, 2, depth, 3)
  return keras.ops.relu(shortcut + layer(features, 3, 4 * depth, 1))
