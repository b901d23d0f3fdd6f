"""Layers between a map of features and what is said of each proposal.

Inside the second stage the proposals of all images are the rows of one batch.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hardmine.trainers.detection.meta_architectures.crops import (
  crop_and_resize,
  position_sensitive,
)


class Crops(keras.layers.Layer):
  """[features [b, r, c, d], boxes [b, P, 4]] to [b * P, n, n, d]."""

  def __init__(self, crop_px: int, **kwargs: Any):
    super().__init__(**kwargs)
    self.crop_px = crop_px

  def call(self, inputs: Any) -> Any:
    """Keras' own interface."""
    features, boxes = inputs
    crops = crop_and_resize(features, boxes, self.crop_px)
    return ops.reshape(crops, (-1, *[self.crop_px] * 2, features.shape[-1]))

  def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
    """Keras' own interface."""
    return (None, self.crop_px, self.crop_px, input_shape[0][-1])


class PositionSensitive(keras.layers.Layer):
  """[maps [b, r, c, bins * bins * d], boxes [b, P, 4]] to [b, P, d]."""

  def __init__(self, bins: int, crop_px: int, **kwargs: Any):
    super().__init__(**kwargs)
    self.bins, self.crop_px = bins, crop_px

  def call(self, inputs: Any) -> Any:
    """Keras' own interface."""
    maps, boxes = inputs
    return position_sensitive(maps, boxes, self.bins, self.crop_px)

  def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
    """Keras' own interface."""
    maps, boxes = input_shape
    return (*boxes[:2], maps[-1] // self.bins**2)


class PerProposal(keras.layers.Layer):
  """[answers [b * P, n] or [b, P, n], boxes [b, P, 4]] to [b, P, *answer_shape]."""

  def __init__(self, answer_shape: tuple[int, ...], **kwargs: Any):
    super().__init__(**kwargs)
    self.answer_shape = answer_shape

  def call(self, inputs: Any) -> Any:
    """Keras' own interface."""
    answers, boxes = inputs
    return ops.reshape(answers, (-1, ops.shape(boxes)[1], *self.answer_shape))

  def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
    """Keras' own interface."""
    return (*input_shape[1][:2], *self.answer_shape)
