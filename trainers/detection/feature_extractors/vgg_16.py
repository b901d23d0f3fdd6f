"""VGG-16 (Simonyan and Zisserman, arXiv 1409.1556): 3x3 convolutions, no norm.

The layers are those of `keras.applications.VGG16`, so that its weights load. SSD (Liu
et al., arXiv 1512.02325) predicts from conv4_3, whose features get a learned length,
and from fc7, which like fc6 becomes a convolution: 38x38 and 19x19 maps at 300 pixels.
fc6 looks six positions apart, since the pool before it keeps its resolution.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import scaled
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

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # depth, convolutions
FC_DEPTH = 1024
_NAME = re.compile(r"block(\d)_conv\d$")


class LearnedLength(keras.layers.Layer):
  """Brings the features of every position to one length a channel, which is learned.

  Features of an early layer are much larger than those of later ones (ParseNet, arXiv
  1506.04579).
  """

  def __init__(self, length: float = 20.0, **kwargs: Any):
    super().__init__(**kwargs)
    self.length = length

  def build(self, features_shape: Any) -> None:
    self.scale = self.add_weight(
      name="scale",
      shape=(features_shape[-1],),
      initializer=keras.initializers.Constant(self.length),
    )

  def call(self, features: Any) -> Any:
    """[b, h, w, c] to the same."""
    squares = keras.ops.sum(keras.ops.square(features), axis=-1, keepdims=True)
    return features * keras.ops.rsqrt(keras.ops.maximum(squares, 1e-12)) * self.scale


class VGG16(FeatureExtractor):
  """Width 1 without fc6 and fc7 has 14,714,688 parameters."""

  TOP_1 = 71.0
  normalize = staticmethod(bgr_without_mean)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_8` (512 deep at width 1) and `stride_16` (1024)."""
    finer = _blocks(images, 1, 4, width)
    features = _blocks(_halved(finer), 5, 5, width)
    features = keras.layers.MaxPooling2D(3, 1, padding="same")(features)
    features = _conv(features, FC_DEPTH, 3, width, "fc6", dilation=6)
    features = _conv(features, FC_DEPTH, 1, width, "fc7")
    return {
      "stride_8": LearnedLength(name="block4_length")(finer),
      "stride_16": features,
    }

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to conv5_3, 512 deep at width 1."""
    require_stride(VGG16, output_stride)
    return _blocks(images, 1, 5, width)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """Nothing: the features as they are.

    The study does not say whether fc6 and fc7 stand here, as in the first Faster R-CNN.
    Its table counts the convolutions alone, 14,714,688 parameters, and every other
    family's count is of all that both stages have; fc6 and fc7 would be 119,545,856
    more, and 120 million multiply-adds for every proposal.
    """
    return keras.layers.Identity()(features)  # Keras wants a layer in a model

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 to 4; fc6 and fc7 have no weights of ImageNet and belong to the detector."""
    match = _NAME.match(layer_name)
    return int(match[1]) - 1 if match else None

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Of `keras.applications.VGG16`; width 1 alone has some."""
    return imagenet_weights(keras.applications.VGG16, width)


def _blocks(features: Any, first: int, last: int, width: float) -> Any:
  """The blocks from one number to another, both included, a pool between two."""
  for number in range(first, last + 1):
    if number > first:
      features = _halved(features)
    depth, convolutions = BLOCKS[number - 1]
    for index in range(1, convolutions + 1):
      features = _conv(features, depth, 3, width, f"block{number}_conv{index}")
  return features


def _halved(features: Any) -> Any:
  return keras.layers.MaxPooling2D(2, 2, padding="same")(features)


def _conv(
  features: Any, depth: int, kernel: int, width: float, name: str, dilation: int = 1
) -> Any:
  return keras.layers.Conv2D(
    scaled(depth, width),
    kernel,
    padding="same",
    dilation_rate=dilation,
    activation="relu",
    name=name,
  )(features)
