"""MobileNet v1 (Howard et al., arXiv 1704.04861): depthwise separable convolutions.

Thirteen pairs of a depthwise 3x3 and a pointwise 1x1 convolution behind a 3x3
one, batch normalisation and ReLU6 after each. SSD predicts from the outputs of
pairs 11 (stride 16) and 13 (stride 32) (1611.10012, section 3.6); the first stage of a
two-stage detector ends with pair 11.

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

from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  require_stride,
)
from hardmine.trainers.detection.feature_extractors.keras_weights import (
  downloaded_weights,
)
from hardmine.trainers.detection.feature_extractors.preprocessing import (
  minus_one_to_one,
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
LAST_PAIR_OF_FIRST_STAGE = 11
_NAME = re.compile(r"conv1(?:_.*)?$|conv_[dp]w_(\d+)(?:_.*)?$")


class MobileNetV1(FeatureExtractor):
  """Width 1 has 3,228,864 parameters; 0.25, 0.5 and 0.75 are the usual smaller ones."""

  TOP_1 = 71.1
  normalize = staticmethod(minus_one_to_one)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (512 deep at width 1) and `stride_32` (1024): the two stages'."""
    finer = MobileNetV1.first_stage(images, width, batch_norm_momentum)
    coarser = MobileNetV1.second_stage(finer, width, batch_norm_momentum)
    return {"stride_16": finer, "stride_32": coarser}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to pair 11, 512 deep at width 1."""
    require_stride(MobileNetV1, output_stride)
    layers = _Layers(width, batch_norm_momentum)
    features = layers.convolved(images, 32, 3, 2, "conv1")
    return layers.pairs(features, 1, LAST_PAIR_OF_FIRST_STAGE)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """Pairs 12, which halves the resolution, and 13: 1024 deep at width 1.

    The study's authors fuse both halves of a pair here, without a norm between them,
    and so cannot start from ImageNet's weights; these layers are the backbone's own.
    """
    layers = _Layers(width, batch_norm_momentum)
    return layers.pairs(features, LAST_PAIR_OF_FIRST_STAGE + 1, len(PAIRS))

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


class _Layers:
  """Makes convolutions, each with its norm and its ReLU6."""

  def __init__(self, width: float, batch_norm_momentum: float):
    self._width, self._momentum = width, batch_norm_momentum

  def pairs(self, features: Any, first: int, last: int) -> Any:
    """The pairs from one number to another, both included."""
    for pair in range(first, last + 1):
      depth, strides = PAIRS[pair - 1]
      depthwise = keras.layers.DepthwiseConv2D(
        3, strides, padding="same", use_bias=False, name=f"conv_dw_{pair}"
      )
      features = self._normalized(depthwise(features), f"conv_dw_{pair}")
      features = self.convolved(features, depth, 1, 1, f"conv_pw_{pair}")
    return features

  def convolved(
    self, features: Any, depth: int, kernel: int, strides: int, name: str
  ) -> Any:
    """A convolution of `depth` times the width."""
    layer = keras.layers.Conv2D(
      int(depth * self._width),
      kernel,
      strides,
      padding="same",
      use_bias=False,
      name=name,
    )
    return self._normalized(layer(features), name)

  def _normalized(self, features: Any, name: str) -> Any:
    features = keras.layers.BatchNormalization(
      momentum=self._momentum, epsilon=1e-3, name=f"{name}_bn"
    )(features)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(features)
