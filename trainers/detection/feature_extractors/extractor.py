"""What a detector asks of its backbone."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from hardmine.schemas.config import require

_TWO_STAGES = (
  "Expected a feature extractor with first_stage and second_stage, which Faster R-CNN "
  "and R-FCN ask for; write both as mobilenet_v1.py does, or use SSD"
)


class FeatureExtractor(abc.ABC):
  """A family of backbones; its subclasses hold no state.

  SSD asks for `feature_maps`, the two-stage detectors for `first_stage` and
  `second_stage`: a family that is used with one kind alone writes that kind's alone.

  Attributes:
    STRIDES: pixels between two positions of the first stage's map, those on offer.
    TOP_1: share of ImageNet's validation images that the family classifies right, in
      percent, as 1611.10012 gives it in table 2 (section 3.2); None: not known.
  """

  STRIDES: ClassVar[tuple[int, ...]] = (16,)
  TOP_1: ClassVar[float | None] = None

  @staticmethod
  @abc.abstractmethod
  def normalize(pixels: Any) -> Any:
    """Float32 pixels in [0, 255], RGB, to what the first layer expects."""

  @staticmethod
  @abc.abstractmethod
  def feature_maps(
    images: Any, width: float, batch_norm_momentum: float
  ) -> dict[str, Any]:
    """The maps that SSD predicts from, finest first.

    Args:
      images: Keras tensor [b, h, w, 3], normalized.
      width: multiplier of all depths.
      batch_norm_momentum: of the moving statistics.

    Returns:
      `stride_16`, `stride_32` ...: Keras tensors [b, ceil(h / 16), ceil(w / 16), c].
      The layers have the names that Keras' own model of the family gives them, so
      that weights of either load into the other.
    """

  @staticmethod
  def first_stage(
    images: Any, width: float, batch_norm_momentum: float, output_stride: int = 16
  ) -> Any:
    """The one map in which a two-stage detector looks for objects.

    Args:
      images: Keras tensor [b, h, w, 3], normalized; h and w may be None.
      width: multiplier of all depths.
      batch_norm_momentum: of the moving statistics.
      output_stride: s, one of `STRIDES`.

    Returns:
      Keras tensor [b, ceil(h / s), ceil(w / s), c]. Layers are named as in
      `feature_maps`; what both have in common has the same names and weights.

    Raises:
      NotImplementedError: the family is for SSD alone.
      ValueError: a stride that is not on offer.
    """
    raise NotImplementedError(_TWO_STAGES)

  @staticmethod
  def second_stage(features: Any, width: float, batch_norm_momentum: float) -> Any:
    """The rest of the backbone, behind `first_stage` or a crop of its map.

    Args:
      features: Keras tensor [b, r, c, d], d as `first_stage` gives it; r and c at
        least 3.
      width: multiplier of all depths.
      batch_norm_momentum: of the moving statistics.

    Returns:
      Keras tensor [b, r, c, d], or half as many rows and columns, by the family; d is
      another. Names of layers go on where the first stage's end.

    Raises:
      NotImplementedError: the family is for SSD alone.
    """
    raise NotImplementedError(_TWO_STAGES)

  @staticmethod
  @abc.abstractmethod
  def block_of(layer_name: str) -> int | None:
    """Which block a layer is in, counted from the image; None: none of ours."""

  @classmethod
  @abc.abstractmethod
  def imagenet_weights(cls, width: float) -> dict[str, np.ndarray]:
    """Keras' weights by name, such as `conv1/kernel`; downloaded when first asked.

    Raises:
      RuntimeError: they cannot be had.
    """


def require_stride(extractor: type[FeatureExtractor], output_stride: int) -> None:
  """Refuses a stride that the family does not offer.

  Raises:
    ValueError: it does not.
  """
  require(
    output_stride in extractor.STRIDES,
    f"one of the strides {extractor.STRIDES} of {extractor.__name__}",
    output_stride=output_stride,
  )


def load_weights(
  layers: Iterable[Any], extractor: type[FeatureExtractor], source: str, width: float
) -> int:
  """Fills the backbone's layers from `imagenet` or an `.npz` of Keras weight names.

  Args:
    layers: of a detector; the backbone's have their Keras names.
    extractor: the family.
    source: `imagenet`, or the path of an `.npz` whose keys are `LAYER/WEIGHT` or
      `LAYER|WEIGHT`; keys of other layers (a classifier's last ones) are ignored.
    width: multiplier of all depths.

  Returns:
    How many weights were set.

  Raises:
    ValueError: no such file, a weight is missing or has another shape.
  """
  if source == "imagenet":
    values = extractor.imagenet_weights(width)
  else:
    require(
      source.endswith(".npz") and os.path.isfile(source),
      "`imagenet` or the path of an .npz file",
      initial_weights=source,
    )
    with np.load(source) as file:
      values = {name.replace("|", "/"): file[name] for name in file.files}
  num_set = 0
  for layer in layers:
    if extractor.block_of(layer.name) is None:
      continue
    for variable in layer.weights:
      name = f"{layer.name}/{variable.name}"
      # Keras 3.12 calls a depthwise kernel `kernel`, others `depthwise_kernel`.
      value = values.get(name)
      if value is None:
        value = values.get(name.replace("/kernel", "/depthwise_kernel"))
      require(
        value is not None and value.shape == tuple(variable.shape),
        f"{name} of shape {tuple(variable.shape)} in {source} (width {width:g})",
        found=None if value is None else value.shape,
      )
      variable.assign(value)
      num_set += 1
  require(num_set > 0, "a backbone with weights", initial_weights=source)
  return num_set
