"""MobileNet v1 (Howard et al., arXiv 1704.04861): depthwise separable convolutions.

Thirteen pairs of a depthwise 3x3 and a pointwise 1x1 convolution behind a 3x3
one, batch normalisation and ReLU6 after each. SSD predicts from the outputs of
pairs 11 (stride 16) and 13 (stride 32) (1611.10012, section 3.6).

Every convolution is SAME-padded, as in the slim models that the study trained:
19x19 and 10x10 maps at 300 pixels. `keras.applications.MobileNet` pads strided
ones below and to the right by hand, which is the same wherever sizes are even and
gives 18x18 and 9x9 at 300; the weights fit both.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.keras_weights import (
  downloaded_weights,
)

# (pointwise depth, stride) of the pairs 1 to 13.
PAIRS = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  *[(512, 1)] * 5,
  (1024, 2),
  (1024, 1),
)
_NAME = re.compile(r"conv1(?:_.*)?$|conv_[dp]w_(\d+)(?:_.*)?$")


class MobileNetV1(FeatureExtractor):
  """Width 1 has 3,228,864 parameters; 0.25, 0.5 and 0.75 are the usual smaller ones."""

  @staticmethod
  def normalize(pixels: Any) -> Any:
    """[0, 255] to [-1, 1]."""
    return pixels / 127.5 - 1.0

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (512 deep at width 1) and `stride_32` (1024)."""

    def normalized(features: Any, name: str) -> Any:
      features = keras.layers.BatchNormalization(
        momentum=batch_norm_momentum, epsilon=1e-3, name=f"{name}_bn"
      )(features)
      return keras.layers.ReLU(6.0, name=f"{name}_relu")(features)

    def convolved(features: Any, depth: int, kernel: int, strides: int, name: str):
      layer = keras.layers.Conv2D(
        int(depth * width),
        kernel,
        strides,
        padding="same",
        use_bias=False,
        name=name,
      )
      return normalized(layer(features), name)

    features = convolved(images, 32, 3, 2, "conv1")
    maps = {}
    for pair, (depth, strides) in enumerate(PAIRS, start=1):
      depthwise = keras.layers.DepthwiseConv2D(
        3, strides, padding="same", use_bias=False, name=f"conv_dw_{pair}"
      )
      features = normalized(depthwise(features), f"conv_dw_{pair}")
      features = convolved(features, depth, 1, 1, f"conv_pw_{pair}")
      if pair in (11, 13):
        maps[f"stride_{16 if pair == 11 else 32}"] = features
    return maps

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 for the first convolution, 1 to 13 for the pairs."""
    match = _NAME.match(layer_name)
    if match is None:
      return None
    return int(match[1]) if match[1] else 0

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.MobileNet`, for the widths 0.25, 0.5, 0.75 and 1."""
    return downloaded_weights(
      keras.applications.MobileNet,
      f"MobileNet {width:g}",
      alpha=width,
      input_shape=(224, 224, 3),
    )
