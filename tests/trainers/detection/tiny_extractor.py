"""A backbone of five convolutions, which learns rectangles in a hundred steps."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np

from hardmine.schemas.class_names import trust_experiment
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.meta_architectures.ssd_heads import HEADS, Head

DEPTHS = (16, 24, 32, 48, 64)


class TinyExtractor(FeatureExtractor):
  """Strides 16 and 32, 48 and 64 deep."""

  @staticmethod
  def normalize(pixels: Any) -> Any:
    return pixels / 127.5 - 1.0

  @staticmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    features, maps = images, []
    for number, depth in enumerate(DEPTHS):
      features = keras.layers.Conv2D(
        depth, 3, 2, "same", use_bias=False, name=f"tiny_{number}"
      )(features)
      features = keras.layers.BatchNormalization(
        momentum=batch_norm_momentum, name=f"tiny_{number}_bn"
      )(features)
      features = keras.layers.ReLU()(features)
      maps.append(features)
    return {"stride_16": maps[3], "stride_32": maps[4]}

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    return int(layer_name[5]) if layer_name.startswith("tiny_") else None

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    raise RuntimeError("there are none")


HEADS[TinyExtractor] = Head(extra_depths=(32, 32))
trust_experiment(sys.modules[__name__])  # or no config could name the class
