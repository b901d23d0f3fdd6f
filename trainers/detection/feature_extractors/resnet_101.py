"""ResNet-101 (He et al., arXiv 1512.03385): bottlenecks around which features pass.

The layers, their biases and their places of stride are those of
`keras.applications.ResNet101`, so that its weights load. SSD predicts from the last
layer of conv4 and from the maps that it adds (1611.10012, section 3.6), the fifth of
which the study gave no backbone's layer for.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import Convolutions
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.keras_weights import (
  imagenet_weights,
)

# Depth of the bottleneck, blocks and stride of each stage from conv2 on.
STAGES = {2: (64, 3, 1), 3: (128, 4, 2), 4: (256, 23, 2), 5: (512, 3, 2)}
_NAME = re.compile(r"conv(\d)(?:_block(\d+)_\d)?_(?:conv|bn)$")
# RGB; Keras' own preprocessing turns them to BGR, as its weights want.
_MEANS = (123.68, 116.779, 103.939)


class ResNet101(FeatureExtractor):
  """Width 1 up to conv5 has 42,658,176 parameters, 52,672 of them Keras' biases."""

  @staticmethod
  def normalize(pixels: Any) -> Any:
    """[0, 255] in RGB to BGR around ImageNet's mean, as Keras' weights want."""
    return keras.ops.flip(pixels - np.array(_MEANS, "float32"), axis=-1)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (1024 deep at width 1)."""
    conv = Convolutions(width, batch_norm_momentum, epsilon=1.001e-5)
    return {"stride_16": stages(images, conv, 4)}

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 for the first convolution, 1 to 33 for the bottlenecks."""
    match = _NAME.match(layer_name)
    if match is None:
      return None
    stage, number = int(match[1]), int(match[2] or 0)
    return sum(blocks for at, (_, blocks, _) in STAGES.items() if at < stage) + number

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.ResNet101`; width 1 alone has some."""
    return imagenet_weights(keras.applications.ResNet101, width)


def stages(images: Any, conv: Convolutions, last: int) -> Any:
  """From normalised images up to the end of a stage, 2 to 5."""
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
  features = keras.layers.MaxPooling2D(3, 2)(features)
  for number in range(2, last + 1):
    features = stage(features, conv, number)
  return features


def stage(features: Any, conv: Convolutions, number: int) -> Any:
  """All bottlenecks of a stage; the first has its stride and a shortcut of its own."""
  depth, blocks, strides = STAGES[number]
  for block in range(1, blocks + 1):
    first = block == 1
    features = _bottleneck(
      features,
      conv,
      f"conv{number}_block{block}",
      depth,
      strides if first else 1,
      first,
    )
  return features


def _bottleneck(
  features: Any, conv: Convolutions, name: str, depth: int, strides: int, projects: bool
) -> Any:
  def layer(inputs: Any, number: int, depth: int, kernel: int, strides: int = 1) -> Any:
    return conv(
      inputs,
      depth,
      kernel,
      strides,
      name=f"{name}_{number}_conv",
      norm_name=f"{name}_{number}_bn",
      use_bias=True,
      activation="relu" if number in (1, 2) else None,
    )

  shortcut = layer(features, 0, 4 * depth, 1, strides) if projects else features
  features = layer(features, 1, depth, 1, strides)
  features = layer(features, 2, depth, 3)
  return keras.ops.relu(shortcut + layer(features, 3, 4 * depth, 1))
