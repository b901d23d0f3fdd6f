"""What pixels become before the first layer, by how a family's weights were trained.

The kinds are those of `keras.applications`, which calls them `tf` and `caffe`. The
released slim models of VGG-16 and ResNet-101 subtract the same means and keep RGB:
their first kernels fit `bgr_without_mean` with the input channels turned around.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)


def minus_one_to_one(pixels: Any) -> Any:
  """[0, 255] to [-1, 1]; RGB stays RGB."""
  return pixels / 127.5 - 1.0


def bgr_without_mean(pixels: Any) -> Any:
  """[0, 255] in RGB to BGR around ImageNet's mean; the scale stays."""
  return keras.ops.flip(pixels - np.array(IMAGENET_MEAN_RGB, "float32"), axis=-1)
