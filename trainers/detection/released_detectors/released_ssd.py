"""A released SSD: its settings, and where its heads are in the checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2Relu6,
)
from hardmine.trainers.detection.geometry.anchors import cell_sides
from hardmine.trainers.detection.meta_architectures.ssd_heads import head_of
from hardmine.trainers.detection.released_detectors.described import (
  AnchorOrder,
  Described,
  chosen,
)
from hardmine.trainers.detection.released_detectors.settings import Settings
from hardmine.trainers.detection.released_detectors.text_format import Message
from hardmine.trainers.detection.tf1_checkpoints.filling import Place
from hardmine.trainers.detection.tf1_checkpoints.names import family_of

# By the config's names: the extractor, and the layer behind which maps are added.
EXTRACTORS: dict[str, tuple[type[FeatureExtractor], str]] = {
  "ssd_mobilenet_v1": (MobileNetV1, "Conv2d_13_pointwise"),
  "ssd_inception_v2": (ReleasedInceptionV2Relu6, "Mixed_5c"),
}


class SSDSettings(Settings):
  """Of a released SSD."""

  def described(self, ssd: Message) -> Described:
    """What `model.ssd` describes.

    Raises:
      ValueError: a detector whose function is none of ours.
    """
    extractor, last_layer = self.extractor(ssd, EXTRACTORS)
    width, epsilon = self._extractor(ssd.message("feature_extractor"), extractor)
    self._box_coder(ssd.message("box_coder"))
    self._predictor(ssd.message("box_predictor"), extractor)
    self.only(ssd, "model.ssd", add_background_class=True, mask_head_config=None)
    postprocessing = ssd.message("post_processing")
    config = SSDConfig(
      feature_extractor=extractor,
      width=float(width),
      resolution_px=self._side(ssd.message("image_resizer")),
      **self._anchors(ssd.message("anchor_generator"), extractor),
      classification=self.scores(postprocessing, "SIGMOID", "SOFTMAX"),
      postprocessing=self.suppression(postprocessing),
    )
    num_classes = self.num_classes(ssd)
    return Described(
      config=config,
      num_classes=num_classes,
      epsilon=epsilon,
      places=functools.partial(
        _places, config=config, num_classes=num_classes, last_layer=last_layer
      ),
      competing=config.classification == "softmax",
    )

  def _side(self, resizer: Message) -> int:
    fixed = resizer.message("fixed_shape_resizer")
    height, width = (fixed.get(name) for name in ("height", "width"))
    require(
      isinstance(height, int) and height == width,
      f"image_resizer.fixed_shape_resizer to a square in {self.title}",
      height=height,
      width=width,
    )
    self.only(
      fixed,
      "fixed_shape_resizer",
      resize_method="BILINEAR",
      convert_to_grayscale=False,
    )
    return height

  def _extractor(
    self, message: Message, extractor: type[FeatureExtractor]
  ) -> tuple[float, float]:
    """The width and the normalisation's epsilon."""
    where = "feature_extractor"
    self.only(
      message,
      where,
      pad_to_multiple=1,
      use_explicit_padding=False,
      use_depthwise=False,
      num_layers=6,
      fpn=None,
    )
    hyperparameters = message.message("conv_hyperparams")
    limit = head_of(extractor).relu_limit
    wanted = "RELU" if limit is None else f"RELU_{limit:g}"
    activation = hyperparameters.get("activation", "RELU")
    require(
      activation == wanted,
      f"{where}.conv_hyperparams.activation of {wanted} in {self.title}",
      activation=activation,
    )
    batch_norm = hyperparameters.message("batch_norm")
    self.only(batch_norm, f"{where}.conv_hyperparams.batch_norm", center=True)
    epsilon = batch_norm.get("epsilon", 1e-3)
    overrides = message.get("override_base_feature_extractor_hyperparams", False)
    require(
      overrides or abs(epsilon - 1e-3) < 1e-9,
      f"{where}.conv_hyperparams.batch_norm.epsilon of 0.001 in {self.title}, as the "
      "backbone has it, or override_base_feature_extractor_hyperparams",
      epsilon=epsilon,
    )
    return message.get("depth_multiplier", 1.0), epsilon

  def _box_coder(self, message: Message) -> None:
    coder = message.message("faster_rcnn_box_coder")
    self.only(coder, "faster_rcnn_box_coder", y_scale=10, x_scale=10)
    self.only(coder, "faster_rcnn_box_coder", height_scale=5, width_scale=5)
    require(
      not message.fields or message.has("faster_rcnn_box_coder"),
      f"box_coder.faster_rcnn_box_coder in {self.title}",
      box_coder=message.names,
    )

  def _predictor(self, message: Message, extractor: type[FeatureExtractor]) -> None:
    require(
      message.has("convolutional_box_predictor"),
      f"box_predictor.convolutional_box_predictor in {self.title}",
      box_predictor=message.names,
    )
    predictor = message.message("convolutional_box_predictor")
    found = predictor.get("kernel_size", 1)
    self.only(
      Message([("kernel_size", found)]),
      "convolutional_box_predictor",
      kernel_size=head_of(extractor).predictor_kernel,
    )
    self.only(
      predictor,
      "convolutional_box_predictor",
      num_layers_before_predictor=0,
      apply_sigmoid_to_scores=False,
      use_depthwise=False,
      box_code_size=4,
    )

  def _anchors(
    self, message: Message, extractor: type[FeatureExtractor]
  ) -> dict[str, Any]:
    """Fields of our config."""
    anchors, where = message.message("ssd_anchor_generator"), "ssd_anchor_generator"
    require(
      message.has("ssd_anchor_generator"),
      f"anchor_generator.{where} in {self.title}",
      anchor_generator=message.names,
    )
    self.only(
      anchors,
      where,
      num_layers=2 + len(head_of(extractor).extra_depths),
      interpolated_scale_aspect_ratio=1.0,
      reduce_boxes_in_lowest_layer=True,
      base_anchor_height=1.0,
      base_anchor_width=1.0,
      scales=None,
      height_stride=None,
      width_stride=None,
      height_offset=None,
      width_offset=None,
    )
    ratios = tuple(float(ratio) for ratio in anchors.all("aspect_ratios"))
    require(
      len(ratios) > 0, f"{where}.aspect_ratios in {self.title}", aspect_ratios=ratios
    )
    return {
      "min_scale": float(anchors.get("min_scale", 0.2)),
      "max_scale": float(anchors.get("max_scale", 0.95)),
      "aspect_ratios": ratios,
    }


def _places(
  model: Any,
  ids: Sequence[int],
  anchor_order: AnchorOrder,
  *,
  config: SSDConfig,
  num_classes: int,
  last_layer: str,
) -> dict[str, Place]:
  """Of the added maps and the predictors."""
  root = f"FeatureExtractor/{family_of(config.feature_extractor).root}/{last_layer}"
  by_name, places = {layer.name: layer for layer in model.leaf_layers}, {}
  for number in range(2, 2 + len(head_of(config.feature_extractor).extra_depths)):
    for step, kernel in ((1, "1x1"), (2, "3x3")):
      layer = by_name[f"extra_{number}_{kernel}"]
      size = f"{kernel}{'_s2' * (step == 2)}_{layer.filters}"
      scope = f"{root}_{step}_Conv2d_{number}_{size}"
      places[layer.name] = Place(scopes=(scope,))
  num_maps = sum(name.endswith("_box_codes") for name in by_name)
  for number, sides in enumerate(cell_sides(num_maps, config)):
    order = _order(len(sides), number, anchor_order)
    scope = f"BoxPredictor_{number}"
    for kind, name, size, columns in (
      ("box_codes", "BoxEncodingPredictor", 4, [0, 1, 2, 3]),
      ("class_logits", "ClassPredictor", num_classes + 1, [0, *ids]),
    ):
      places[f"predictor_{number}_{kind}"] = Place(
        scopes=(f"{scope}/{name}",), change=chosen(order, size, columns)
      )
  return places


def _order(num_anchors: int, number: int, anchor_order: AnchorOrder) -> list[int]:
  """Where in a cell of the checkpoint each of our anchors is."""
  if number == 0 or anchor_order == "later":
    return list(range(num_anchors))
  return [0, *range(2, num_anchors), 1]
