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
    finer = TinyExtractor.first_stage(images, width, batch_norm_momentum)
    coarser = TinyExtractor.second_stage(finer, width, batch_norm_momentum)
    return {"stride_16": finer, "stride_32": coarser}

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    return _convolved(images, range(4), batch_norm_momentum)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    return _convolved(features, range(4, 5), batch_norm_momentum)

  @staticmethod
  def block_of(layer_name: str) -> int | None:
    return int(layer_name[5]) if layer_name.startswith("tiny_") else None

  @classmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    raise RuntimeError("there are none")


def _convolved(features: Any, numbers: range, batch_norm_momentum: float) -> Any:
  for number in numbers:
    features = keras.layers.Conv2D(
      DEPTHS[number], 3, 2, "same", use_bias=False, name=f"tiny_{number}"
    )(features)
    features = keras.layers.BatchNormalization(
      momentum=batch_norm_momentum, name=f"tiny_{number}_bn"
    )(features)
    features = keras.layers.ReLU()(features)
  return features


HEADS[TinyExtractor] = Head(extra_depths=(32, 32))
trust_experiment(sys.modules[__name__])  # or no config could name the class
