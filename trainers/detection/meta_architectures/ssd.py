"""SSD: boxes and classes from several maps of one backbone, in a single pass.

    image ─> backbone ─> stride_16 ──> boxes, classes  (3 anchors a cell)
                     └─> stride_32 ──> boxes, classes  (6 anchors a cell)
                           └─> 4 extra maps, each half as wide ──> boxes, classes

Liu et al., arXiv 1512.02325, as Huang et al. use it (1611.10012, section 3.6 and the
supplement): batch normalisation in all added layers, ReLU6, one predictor
convolution a map. Images are stretched to a square, proportions are not kept.
"""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection import anchors, losses, targets
from hardmine.trainers.detection.feature_extractors.extractor import load_weights
from hardmine.trainers.devices import num_replicas

MIN_EXTRA_DEPTH = 16


class SSD(keras.Model):
  """Maps float32 [b, R, R, 3] pixels in [0, 255] to raw predictions.

  The outputs are `class_logits`, [b, N, C + 1] with the background first, and
  `box_codes`, [b, N, 4]; N anchors in order of map, row, column, anchor.

  Attributes:
    config: the network.
    num_categories: C.
    anchors_yxyx_norm: float32 [N, 4].
    suspects: positions in the training set of the first batch whose loss was not a
      number; -1 as long as there was none.
  """

  def __init__(
    self,
    config: SSDConfig,
    num_categories: int,
    training: DetectorTrainingConfig | None = None,
    **kwargs: Any,
  ):
    """Builds the network with random weights; `ssd` also loads initial ones."""
    momentum = training.batch_norm_momentum if training else 0.9997
    side = config.resolution_px
    images = keras.Input((side, side, 3), name="images")
    maps = list(
      config.feature_extractor.feature_maps(
        config.feature_extractor.normalize(images), config.width, momentum
      ).values()
    )
    for number, depth in enumerate(config.feature_extractor.extra_depths, start=2):
      maps.append(
        _extra_map(maps[-1], depth, config.width, momentum, f"extra_{number}")
      )
    super().__init__(
      inputs=images, outputs=_predictions(maps, config, num_categories), **kwargs
    )
    self.config = config
    self.num_categories = num_categories
    self.anchors_yxyx_norm = anchors.ssd_anchors(
      [tuple(features.shape[1:3]) for features in maps], config
    )
    self.weight_decay = training.weight_decay if training else 0.0
    self.classification_tracker = keras.metrics.Mean(name="classification")
    self.localization_tracker = keras.metrics.Mean(name="localization")
    self.suspects = keras.Variable(
      -np.ones(training.batch_size if training else 1, "int64"),
      trainable=False,
      name="suspects",
    )

  def compute_loss(
    self,
    x: Any = None,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
    training: bool = True,
  ) -> Any:
    """Localization, classification and weight decay (1611.10012, equation 1).

    Args:
      x: images, not looked at.
      y: `boxes_yxyx_norm` [b, g, 4], `labels` [b, g] (0 is padding), `is_crowd`
        [b, g], `index` [b].
      y_pred: the outputs.
      sample_weight: not used.
      training: whether the batch is one to learn from.
    """
    assigned = targets.assign(
      y["boxes_yxyx_norm"],
      y["labels"],
      self.anchors_yxyx_norm,
      self.config,
      is_crowd=y["is_crowd"],
    )
    loss, parts = losses.ssd_loss(
      ops.cast(y_pred["class_logits"], "float32"),
      ops.cast(y_pred["box_codes"], "float32"),
      assigned,
      self.config,
    )
    self.classification_tracker.update_state(parts["classification"])
    self.localization_tracker.update_state(parts["localization"])
    if not training:
      return loss
    first = ops.logical_and(
      ops.logical_not(ops.isfinite(loss)), ops.all(self.suspects < 0)
    )
    self.suspects.assign(
      ops.where(first, ops.cast(y["index"], "int64"), self.suspects.value)
    )
    return (loss + self._decay()) / num_replicas()

  def _decay(self) -> Any:
    """Half the sum of the squared kernels; depthwise ones are few and left alone."""
    kernels = [
      layer.kernel
      for layer in self.layers
      if type(layer) is keras.layers.Conv2D and layer.trainable
    ]
    if not self.weight_decay or not kernels:
      return 0.0
    return 0.5 * self.weight_decay * sum(ops.sum(ops.square(k)) for k in kernels)


def ssd(
  config: SSDConfig, num_categories: int, training: DetectorTrainingConfig
) -> SSD:
  """A detector to be trained: initial weights loaded, frozen parts frozen.

  Raises:
    ValueError: the initial weights do not fit.
    RuntimeError: they cannot be downloaded.
  """
  keras.utils.set_random_seed(training.seed)
  model = SSD(config, num_categories, training)
  if config.initial_weights is not None:
    load_weights(model, config.feature_extractor, config.initial_weights, config.width)
  for layer in model.layers:
    block = config.feature_extractor.block_of(layer.name)
    if block is None:
      continue
    is_norm = isinstance(layer, keras.layers.BatchNormalization)
    if block < training.frozen_blocks or (is_norm and training.batch_norm == "freeze"):
      layer.trainable = False  # batch normalisation then also uses its statistics
  return model


def model_id(model: SSD) -> bytes:
  """Eight bytes that name a model: SHA-256 over config and weights."""
  digest = hashlib.sha256(model.config.to_json().encode("utf-8"))
  for layer in model.layers:
    for weight in layer.weights:
      digest.update(np.asarray(ops.convert_to_numpy(weight)).astype("<f4").tobytes())
  return digest.digest()[:8]


def _extra_map(
  features: Any, depth: int, width: float, momentum: float, name: str
) -> Any:
  """A 1x1 convolution to half the depth, then a 3x3 one with stride 2."""
  scaled = max(int(depth * width), MIN_EXTRA_DEPTH)
  for kernel, strides, filters in ((1, 1, scaled // 2), (3, 2, scaled)):
    layer = f"{name}_{kernel}x{kernel}"
    features = keras.layers.Conv2D(
      filters,
      kernel,
      strides,
      padding="same",
      use_bias=False,
      kernel_initializer=_initializer(),
      name=layer,
    )(features)
    features = keras.layers.BatchNormalization(
      momentum=momentum, epsilon=1e-3, name=f"{layer}_bn"
    )(features)
    features = keras.layers.ReLU(6.0, name=f"{layer}_relu")(features)
  return features


def _predictions(
  maps: list[Any], config: SSDConfig, num_categories: int
) -> dict[str, Any]:
  """One linear convolution a map and kind, all anchors joined in one axis."""
  per_cell = anchors.anchors_per_cell(len(maps), config)
  outputs = {}
  for kind, size in (("class_logits", num_categories + 1), ("box_codes", 4)):
    joined = []
    for number, (features, num_anchors) in enumerate(zip(maps, per_cell)):
      predicted = keras.layers.Conv2D(
        num_anchors * size,
        config.feature_extractor.predictor_kernel,
        padding="same",
        kernel_initializer=_initializer(),
        name=f"predictor_{number}_{kind}",
      )(features)
      cells = features.shape[1] * features.shape[2]
      joined.append(ops.reshape(predicted, (-1, cells * num_anchors, size)))
    outputs[kind] = ops.concatenate(joined, axis=1)
  return outputs


def _initializer() -> Any:
  """Truncated normal of deviation 0.03 (1611.10012, supplement)."""
  return keras.initializers.TruncatedNormal(stddev=0.03)
