"""SSD: boxes and classes from several maps of one backbone, in a single pass.

    image ─> backbone ─> stride_16 ──> boxes, classes  (3 anchors a cell)
                     └─> stride_32 ──> boxes, classes  (6 anchors a cell)
                           └─> 4 extra maps, each half as wide ──> boxes, classes

Liu et al., arXiv 1512.02325, as Huang et al. use it (1611.10012, section 3.6 and the
supplement): batch normalisation in all added layers, ReLU6, one predictor
convolution a map. Images are stretched to a square, proportions are not kept.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf
from keras import ops

from hardmine.schemas.detector_config import SSDConfig, Stretched
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.geometry import anchors, box_coder
from hardmine.trainers.detection.inputs.augmentation import SSD_CROP
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.meta_architectures.ssd_heads import head_of
from hardmine.trainers.detection.training import losses, targets

MIN_EXTRA_DEPTH = 16


class SSD(MetaArchitecture, keras.Model):
  """Maps float32 [b, R, R, 3] pixels in [0, 255] to raw predictions.

  The outputs are `class_logits`, [b, N, C + 1] with the background first, and
  `box_codes`, [b, N, 4]; N anchors in order of map, row, column, anchor.

  Attributes:
    config: the network.
    num_categories: C.
    anchors_yxyx_norm: float32 [N, 4].
    cells_yxyx_norm: float32 [N, 4], the cell of each anchor on its map.
  """

  PARTS: ClassVar[tuple[str, ...]] = ("classification", "localization")
  CROP: ClassVar[float] = SSD_CROP

  def __init__(
    self,
    config: SSDConfig,
    num_categories: int,
    training: DetectorTrainingConfig | None = None,
    **kwargs: Any,
  ):
    momentum = training.batch_norm_momentum if training else 0.9997
    side = config.resolution_px
    images = keras.Input((side, side, 3), name="images")
    maps = _maps(images, config, momentum)
    super().__init__(
      config,
      num_categories,
      training,
      inputs=images,
      outputs=_predictions(maps, config, num_categories),
      **kwargs,
    )
    sizes = [tuple(features.shape[1:3]) for features in maps]
    self.anchors_yxyx_norm = anchors.ssd_anchors(sizes, config)
    self.cells_yxyx_norm = anchors.ssd_cells(sizes, config)

  @staticmethod
  def prepared(config: SSDConfig, pixels: Any) -> Any:
    """float32 [..., R, R, 3] in [0, 255]; bilinear, stretched to the square."""
    return tf.image.resize(pixels, (config.resolution_px,) * 2, "bilinear")

  @staticmethod
  def preparation(config: SSDConfig) -> Stretched:
    """To the square."""
    return Stretched(height_px=config.resolution_px, width_px=config.resolution_px)

  @staticmethod
  def prepared_spec(config: SSDConfig) -> Any:
    """float32 [R, R, 3]."""
    return tf.TensorSpec([config.resolution_px, config.resolution_px, 3], tf.float32)

  def batch_loss(self, outputs: Any, truth: Any) -> tuple[Any, dict[str, Any]]:
    """Localization and classification of the anchors that count."""
    assigned = targets.assign(
      truth["boxes_yxyx_norm"],
      truth["labels"],
      self.anchors_yxyx_norm,
      self.config,
      is_crowd=truth["is_crowd"],
      cells_yxyx_norm=self.cells_yxyx_norm,
    )
    return losses.ssd_loss(
      ops.cast(outputs["class_logits"], "float32"),
      ops.cast(outputs["box_codes"], "float32"),
      assigned,
      self.anchors_yxyx_norm,
      self.config,
    )

  def raw_detections(self, inputs: Any) -> tuple[Any, Any]:
    """All anchors' boxes; a box is shared by all categories."""
    outputs = self(inputs, training=False)
    logits = ops.cast(outputs["class_logits"], "float32")
    # Not `match`: AutoGraph cannot read it.
    if self.config.classification == "sigmoid":
      scores = ops.sigmoid(logits)
    else:
      scores = ops.softmax(logits, axis=-1)
    boxes = box_coder.decode(
      ops.cast(outputs["box_codes"], "float32"),
      self.anchors_yxyx_norm,
      self.config.box_coding,
    )
    return boxes, scores[:, :, 1:]


ssd = SSD.to_train


def _maps(images: Any, config: SSDConfig, momentum: float) -> list[Any]:
  """The backbone's maps, then the extra ones, each from the one before."""
  extractor = config.feature_extractor
  maps = list(
    extractor.feature_maps(extractor.normalize(images), config.width, momentum).values()
  )
  head = head_of(extractor)
  relu = keras.layers.ReLU(head.relu_limit)
  for number, depth in enumerate(head.extra_depths, start=2):
    scaled = max(int(depth * config.width), MIN_EXTRA_DEPTH)
    maps.append(_extra_map(maps[-1], scaled, momentum, f"extra_{number}", relu))
  return maps


def _extra_map(features: Any, depth: int, momentum: float, name: str, relu: Any) -> Any:
  """A 1x1 convolution to half the depth, then a 3x3 one with stride 2."""
  for kernel, strides, filters in ((1, 1, depth // 2), (3, 2, depth)):
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
    features = relu(features)
  return features


def _predictions(
  maps: list[Any], config: SSDConfig, num_categories: int
) -> dict[str, Any]:
  """One linear convolution a map and kind, all anchors joined in one axis."""
  kernel = head_of(config.feature_extractor).predictor_kernel
  per_cell = anchors.anchors_per_cell(len(maps), config)
  outputs = {}
  for kind, size in (("class_logits", num_categories + 1), ("box_codes", 4)):
    joined = []
    for number, (features, num_anchors) in enumerate(zip(maps, per_cell)):
      predicted = keras.layers.Conv2D(
        num_anchors * size,
        kernel,
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
