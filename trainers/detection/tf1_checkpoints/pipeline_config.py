"""From a released detector's `pipeline.config` to our config of the same function.

What we have no equal for is refused: a detector that answers almost as it should is
worse than none. Settings of its training are not read.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import PostprocessingConfig, SSDConfig
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2Relu6,
)
from hardmine.trainers.detection.meta_architectures.ssd_heads import head_of
from hardmine.trainers.detection.tf1_checkpoints.text_format import Message, parse

# By the config's names: the extractor, and the layer behind which maps are added.
EXTRACTORS: dict[str, tuple[type[FeatureExtractor], str]] = {
  "ssd_mobilenet_v1": (MobileNetV1, "Conv2d_13_pointwise"),
  "ssd_inception_v2": (ReleasedInceptionV2Relu6, "Mixed_5c"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Described:
  """A released detector.

  Attributes:
    config: ours.
    num_classes: of its predictors, without the background.
    epsilon: of batch normalisation.
    last_layer: behind which it adds maps.
  """

  config: SSDConfig
  num_classes: int
  epsilon: float
  last_layer: str


def described(text: str, title: str) -> Described:
  """What a `pipeline.config` describes.

  Args:
    text: of the file.
    title: of the file, for errors.

  Raises:
    ValueError: no such file, or a detector whose function is none of ours.
  """
  model = parse(text, title).message("model")
  if not model.has("ssd"):
    received = ", ".join(model.names) or "no model"
    raise ValueError(
      f"Expected an SSD in {title}; other detectors cannot be imported whole, their "
      f"backbone can (detector.initial_weights). Received: {received}"
    )
  ssd = model.message("ssd")
  return _Reader(title).ssd(ssd)


class _Reader:
  """Holds every setting that matters against what we have."""

  def __init__(self, title: str):
    self._title = title

  def ssd(self, ssd: Message) -> Described:
    kind = ssd.message("feature_extractor").get("type")
    if kind not in EXTRACTORS:
      raise ValueError(
        f"Expected a feature extractor among {', '.join(EXTRACTORS)} in {self._title}. "
        f"Received: {kind}"
      )
    extractor, last_layer = EXTRACTORS[kind]
    width, epsilon = self._extractor(ssd.message("feature_extractor"), extractor)
    self._box_coder(ssd.message("box_coder"))
    self._predictor(ssd.message("box_predictor"), extractor)
    num_classes = ssd.get("num_classes")
    require(
      isinstance(num_classes, int) and num_classes > 0,
      f"model.ssd.num_classes in {self._title}",
      num_classes=num_classes,
    )
    self._only(ssd, "model.ssd", add_background_class=True, mask_head_config=None)
    postprocessing = ssd.message("post_processing")
    config = SSDConfig(
      feature_extractor=extractor,
      width=float(width),
      resolution_px=self._side(ssd.message("image_resizer")),
      **self._anchors(ssd.message("anchor_generator"), extractor),
      classification=self._scores(postprocessing),
      postprocessing=self._suppression(postprocessing),
    )
    return Described(
      config=config, num_classes=num_classes, epsilon=epsilon, last_layer=last_layer
    )

  def _only(self, message: Message, where: str, **wanted: Any) -> None:
    """Raises ValueError where a setting has another value than the only one we have."""
    for name, value in wanted.items():
      found = message.get(name, value)
      require(
        found == value,
        f"{where}.{name} of {value}, the only one that Hardmine has, in {self._title}",
        **{name: found},
      )

  def _side(self, resizer: Message) -> int:
    fixed = resizer.message("fixed_shape_resizer")
    height, width = (fixed.get(name) for name in ("height", "width"))
    require(
      isinstance(height, int) and height == width,
      f"image_resizer.fixed_shape_resizer to a square in {self._title}",
      height=height,
      width=width,
    )
    self._only(
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
    self._only(
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
      f"{where}.conv_hyperparams.activation of {wanted} in {self._title}",
      activation=activation,
    )
    batch_norm = hyperparameters.message("batch_norm")
    self._only(batch_norm, f"{where}.conv_hyperparams.batch_norm", center=True)
    epsilon = batch_norm.get("epsilon", 1e-3)
    overrides = message.get("override_base_feature_extractor_hyperparams", False)
    require(
      overrides or abs(epsilon - 1e-3) < 1e-9,
      f"{where}.conv_hyperparams.batch_norm.epsilon of 0.001 in {self._title}, as the "
      "backbone has it, or override_base_feature_extractor_hyperparams",
      epsilon=epsilon,
    )
    return message.get("depth_multiplier", 1.0), epsilon

  def _box_coder(self, message: Message) -> None:
    coder = message.message("faster_rcnn_box_coder")
    self._only(coder, "faster_rcnn_box_coder", y_scale=10, x_scale=10)
    self._only(coder, "faster_rcnn_box_coder", height_scale=5, width_scale=5)
    require(
      not message.fields or message.has("faster_rcnn_box_coder"),
      f"box_coder.faster_rcnn_box_coder in {self._title}",
      box_coder=message.names,
    )

  def _predictor(self, message: Message, extractor: type[FeatureExtractor]) -> None:
    require(
      message.has("convolutional_box_predictor"),
      f"box_predictor.convolutional_box_predictor in {self._title}",
      box_predictor=message.names,
    )
    predictor = message.message("convolutional_box_predictor")
    found = predictor.get("kernel_size", 1)
    self._only(
      Message([("kernel_size", found)]),
      "convolutional_box_predictor",
      kernel_size=head_of(extractor).predictor_kernel,
    )
    self._only(
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
      f"anchor_generator.{where} in {self._title}",
      anchor_generator=message.names,
    )
    self._only(
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
      len(ratios) > 0, f"{where}.aspect_ratios in {self._title}", aspect_ratios=ratios
    )
    return {
      "min_scale": float(anchors.get("min_scale", 0.2)),
      "max_scale": float(anchors.get("max_scale", 0.95)),
      "aspect_ratios": ratios,
    }

  def _scores(self, message: Message) -> Any:
    converter = message.get("score_converter", "IDENTITY")
    require(
      converter in ("SIGMOID", "SOFTMAX"),
      f"post_processing.score_converter of SIGMOID or SOFTMAX in {self._title}",
      score_converter=converter,
    )
    self._only(message, "post_processing", logit_scale=1.0)
    return converter.lower()

  def _suppression(self, message: Message) -> PostprocessingConfig:
    found = message.message("batch_non_max_suppression")
    self._only(found, "batch_non_max_suppression", soft_nms_sigma=0.0)
    return PostprocessingConfig(
      score_threshold=float(found.get("score_threshold", 0.0)),
      iou_threshold=float(found.get("iou_threshold", 0.6)),
      max_per_class=found.get("max_detections_per_class", 100),
      max_detections=found.get("max_total_detections", 100),
      class_agnostic=found.get("use_class_agnostic_nms", False),
    )
