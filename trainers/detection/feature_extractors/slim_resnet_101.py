"""ResNet-101 (He et al., arXiv 1512.03385) with the strides of slim.

Its authors' checkpoints, and those of detectors that the study's authors released, have
other places of stride than Keras': the 3x3 convolution of the last bottleneck of a
stage. Their padding and their normalisation's epsilon differ too, and convolutions have
no biases. The names of the layers are Keras', but Keras' weights give other features
here, and slim's weights in `ResNet101`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import (
  Convolutions,
  max_pool,
)
from hardmine.trainers.detection.feature_extractors.extractor import require_stride
from hardmine.trainers.detection.feature_extractors.resnet_101 import STAGES, ResNet101

_EPSILON = 1e-5


class SlimResNet101(ResNet101):
  """Width 1 up to conv5 has 42,605,504 parameters."""

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (1024 deep at width 1)."""
    maps = SlimResNet101.first_stage(images, width, batch_norm_momentum)
    return {"stride_16": maps}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to conv4, 1024 deep at width 1; at stride 8 it looks two positions apart."""
    require_stride(SlimResNet101, output_stride)
    conv = Convolutions(width, batch_norm_momentum, epsilon=_EPSILON)
    features = keras.layers.ZeroPadding2D(3)(images)
    features = conv(
      features, 64, 7, 2, name="conv1_conv", norm_name="conv1_bn", padding="valid"
    )
    features = _stage(max_pool(features), conv, 2, strides=2)
    if output_stride == 8:
      return _stage(_stage(features, conv, 3), conv, 4, dilation=2)
    return _stage(_stage(features, conv, 3, strides=2), conv, 4)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """conv5, 2048 deep at width 1; it keeps the resolution, as in the study."""
    conv = Convolutions(width, batch_norm_momentum, epsilon=_EPSILON)
    return _stage(features, conv, 5)

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """None: Keras' are of another function."""
    raise RuntimeError(
      "Keras' ImageNet weights are of a ResNet-101 with other strides: name slim's "
      "resnet_v1_101 checkpoint in initial_weights, or take ResNet101"
    )


def _stage(
  features: Any, conv: Convolutions, number: int, strides: int = 1, dilation: int = 1
) -> Any:
  """All bottlenecks of a stage; the last has its stride."""
  depth, blocks = STAGES[number]
  for block in range(1, blocks + 1):
    features = _bottleneck(
      features,
      conv,
      f"conv{number}_block{block}",
      depth,
      dilation,
      strides if block == blocks else 1,
      projects=block == 1,
    )
  return features


def _bottleneck(
  features: Any,
  conv: Convolutions,
  name: str,
  depth: int,
  dilation: int,
  strides: int,
  *,
  projects: bool,
) -> Any:
  def layer(inputs: Any, place: int, depth: int, kernel: int = 1, **how: Any) -> Any:
    of_layer = f"{name}_{place}"
    names = {"name": f"{of_layer}_conv", "norm_name": f"{of_layer}_bn"}
    return conv(inputs, depth, kernel, **names, **how)

  shortcut = features
  if projects:
    shortcut = layer(features, 0, 4 * depth, activation=None)
  features = layer(features, 1, depth)
  if strides > 1:
    shortcut = keras.layers.MaxPooling2D(1, strides)(shortcut)
    features = keras.layers.ZeroPadding2D(1)(features)
    features = layer(features, 2, depth, 3, strides=strides, padding="valid")
  else:
    features = layer(features, 2, depth, 3, dilation=dilation)
  return keras.ops.relu(shortcut + layer(features, 3, 4 * depth, activation=None))
