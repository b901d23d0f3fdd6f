"""Inception V2 (Ioffe and Szegedy, arXiv 1502.03167): inception with batch norm.

Keras brings none, so this is built after the authors' released slim code, whose names
the layers keep: `Mixed_3b_Branch_0_Conv2d_0a_1x1` and so on. The first convolution is a
separable one. Every layer is padded. SSD predicts from Mixed_4c and Mixed_5c
(1611.10012, section 3.6): 19x19 and 10x10 maps at 300 pixels.
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
  scaled,
)
from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  require_stride,
)
from hardmine.trainers.detection.feature_extractors.preprocessing import (
  minus_one_to_one,
)

# Depths of the four branches: 1x1; 1x1, 3x3; 1x1, 3x3, 3x3; pool, 1x1. A block that
# halves the resolution has no first branch, and its last is a pool alone.
BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
  "3b": ((64,), (64, 64), (64, 96, 96), (32,)),
  "3c": ((64,), (64, 96), (64, 96, 96), (64,)),
  "4a": ((128, 160), (64, 96, 96)),
  "4b": ((224,), (64, 96), (96, 128, 128), (128,)),
  "4c": ((192,), (96, 128), (96, 128, 128), (128,)),
  "4d": ((160,), (128, 160), (128, 160, 160), (96,)),
  "4e": ((96,), (128, 192), (160, 192, 192), (96,)),
  "5a": ((128, 192), (192, 256, 256)),
  "5b": ((352,), (192, 320), (160, 224, 224), (128,)),
  "5c": ((352,), (192, 320), (192, 224, 224), (128,)),
}
STEM_MULTIPLIER = 8  # maps that the first depthwise convolution makes of a colour
_KERNELS = ("0a_1x1", "0b_3x3", "0c_3x3")
_NAME = re.compile(r"(?:Mixed_(\w\w)_Branch|Conv2d_(\w)\w_)")


class InceptionV2(FeatureExtractor):
  """Width 1 has 10,173,112 parameters, with three vectors a batch norm."""

  TOP_1 = 73.9
  normalize = staticmethod(minus_one_to_one)

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """`stride_16` (576 deep at width 1) and `stride_32` (1024)."""
    conv = Convolutions(width, batch_norm_momentum, scale=False)
    finer = blocks(_stem(images, conv), conv, "3b", "4c")
    return {"stride_16": finer, "stride_32": blocks(finer, conv, "4d", "5c")}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """Up to Mixed_4e, 576 deep at width 1."""
    require_stride(InceptionV2, output_stride)
    conv = Convolutions(width, batch_norm_momentum, scale=False)
    return blocks(_stem(images, conv), conv, "3b", "4e")

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """From Mixed_5a, which halves the resolution, to Mixed_5c: 1024 deep at width 1."""
    conv = Convolutions(width, batch_norm_momentum, scale=False)
    return blocks(features, conv, "5a", "5c")

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    """0 and 1 for the first convolutions, 2 to 11 for the mixed blocks."""
    match = _NAME.match(layer_name)
    if match is None:
      return None
    return 2 + list(BLOCKS).index(match[1]) if match[1] else int(match[2]) - 1

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """None: Keras brings no such model."""
    raise RuntimeError(
      "Keras brings no ImageNet weights of Inception V2; give the path of an .npz in "
      "initial_weights, or none to start from nothing"
    )


def _stem(images: Any, conv: Convolutions) -> Any:
  features = keras.layers.SeparableConv2D(
    scaled(64, conv.width),
    7,
    2,
    padding="same",
    depth_multiplier=STEM_MULTIPLIER,
    activation="relu",
    name="Conv2d_1a_7x7",
  )(images)
  features = conv(max_pool(features), 64, 1, name="Conv2d_2b_1x1")
  return max_pool(conv(features, 192, 3, name="Conv2d_2c_3x3"))


def blocks(features: Any, conv: Convolutions, first: str, last: str) -> Any:
  """Those of `BLOCKS` from one name to another, both included."""
  names = list(BLOCKS)
  for name in names[names.index(first) : names.index(last) + 1]:
    features = _block(features, conv, name)
  return features


def _block(features: Any, conv: Convolutions, name: str) -> Any:
  depths = BLOCKS[name]
  prefix = f"Mixed_{name}_Branch"
  if len(depths) == 2:
    branches = [
      _chain(features, conv, f"{prefix}_{number}", steps, strides=2)
      for number, steps in enumerate(depths)
    ]
    return joined(*branches, max_pool(features))
  *inner, (pooled,) = depths
  branches = [
    _chain(features, conv, f"{prefix}_{number}", steps)
    for number, steps in enumerate(inner)
  ]
  pool = max_pool(features, strides=1) if name == "5c" else average_pool(features)
  branches.append(conv(pool, pooled, 1, name=f"{prefix}_3_Conv2d_0b_1x1"))
  return joined(*branches)


def _chain(
  features: Any,
  conv: Convolutions,
  name: str,
  depths: tuple[int, ...],
  strides: int = 1,
) -> Any:
  """A 1x1 convolution, then 3x3 ones, the last of which has the stride."""
  last = len(depths) - 1
  for index, (depth, kernel) in enumerate(zip(depths, _KERNELS)):
    features = conv(
      features,
      depth,
      int(kernel[-1]),
      strides if index == last else 1,
      name=f"{name}_Conv2d_{kernel}",
    )
  return features
