"""A released Faster R-CNN or R-FCN: its settings, and where its heads are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  ProposalConfig,
  RFCNConfig,
  Stretched,
)
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2,
)
from hardmine.trainers.detection.feature_extractors.slim_resnet_101 import SlimResNet101
from hardmine.trainers.detection.meta_architectures.two_stage_heads import head_of
from hardmine.trainers.detection.released_detectors.described import (
  AnchorOrder,
  Described,
  chosen,
)
from hardmine.trainers.detection.released_detectors.settings import Settings
from hardmine.trainers.detection.released_detectors.text_format import Message
from hardmine.trainers.detection.tf1_checkpoints.filling import Place
from hardmine.trainers.detection.tf1_checkpoints.names import family_of

# By the config's names: the extractor, and what its program makes in vain.
EXTRACTORS: dict[str, tuple[type[FeatureExtractor], str]] = {
  "faster_rcnn_resnet101": (
    SlimResNet101,
    "FirstStageFeatureExtractor/resnet_v1_101/block4/",
  ),
  "faster_rcnn_inception_v2": (ReleasedInceptionV2, ""),
  "faster_rcnn_inception_resnet_v2": (InceptionResNetV2, ""),
}
_PREDICTOR = "SecondStageBoxPredictor"


class TwoStageSettings(Settings):
  """Of a released Faster R-CNN or R-FCN."""

  def described(self, message: Message) -> Described:
    """What `model.faster_rcnn` describes.

    Raises:
      ValueError: a detector whose function is none of ours.
    """
    extractor, left_over = self.extractor(message, EXTRACTORS)
    own = message.message("feature_extractor")
    stride = own.get("first_stage_features_stride", 16)
    self.only(own, "feature_extractor", pad_to_multiple=1, depth_multiplier=1.0)
    require(
      stride in extractor.STRIDES,
      f"a first_stage_features_stride among {extractor.STRIDES} in {self.title}",
      first_stage_features_stride=stride,
    )
    self.only(
      message,
      "model.faster_rcnn",
      first_stage_only=False,
      first_stage_box_predictor_kernel_size=3,
      first_stage_atrous_rate=16 // stride,
      first_stage_nms_score_threshold=0.0,
      number_of_stages=2,
    )
    postprocessing = message.message("second_stage_post_processing")
    self.scores(postprocessing, "SOFTMAX")
    fields: dict[str, Any] = {
      "feature_extractor": extractor,
      "resizer": self._resizer(message.message("image_resizer")),
      "output_stride": stride,
      "proposals": self._proposals(message, stride),
      "postprocessing": self.suppression(postprocessing),
    }
    config = self._second_stage(message, fields)
    num_classes = self.num_classes(message)
    return Described(
      config=config,
      num_classes=num_classes,
      epsilon=family_of(extractor).epsilon,
      places=functools.partial(_places, config=config, num_classes=num_classes),
      competing=True,
      left_over=tuple(filter(None, [left_over])),
    )

  def _resizer(self, message: Message) -> KeptProportions | Stretched:
    names = ("keep_aspect_ratio_resizer", "fixed_shape_resizer")
    name = self.one_of(message, "image_resizer", *names)
    found = message.message(name)
    self.only(found, name, resize_method="BILINEAR", convert_to_grayscale=False)
    if name == names[1]:
      height, width = (found.get(side, 0) for side in ("height", "width"))
      return Stretched(height_px=height, width_px=width)
    self.only(found, name, pad_to_max_dimension=False)
    return KeptProportions(
      min_side_px=found.get("min_dimension", 600),
      max_side_px=found.get("max_dimension", 1024),
    )

  def _proposals(self, message: Message, stride: int) -> ProposalConfig:
    generator, name = message.message("first_stage_anchor_generator"), ""
    name = self.one_of(
      generator, "first_stage_anchor_generator", "grid_anchor_generator"
    )
    grid = generator.message(name)
    self.only(grid, name, height=256, width=256, height_offset=0, width_offset=0)
    self.only(grid, name, height_stride=stride, width_stride=stride)
    return ProposalConfig(
      scales=tuple(map(float, grid.all("scales"))) or (0.5, 1.0, 2.0),
      aspect_ratios=tuple(map(float, grid.all("aspect_ratios"))) or (0.5, 1.0, 2.0),
      depth=message.get("first_stage_box_predictor_depth", 512),
      iou_threshold=float(message.get("first_stage_nms_iou_threshold", 0.7)),
      max_proposals=message.get("first_stage_max_proposals", 300),
    )

  def _second_stage(
    self, message: Message, fields: dict[str, Any]
  ) -> FasterRCNNConfig | RFCNConfig:
    predictor = message.message("second_stage_box_predictor")
    names = ("mask_rcnn_box_predictor", "rfcn_box_predictor")
    name = self.one_of(predictor, "second_stage_box_predictor", *names)
    found = predictor.message(name)
    self.only(found, name, box_code_size=4)
    if name == "rfcn_box_predictor":
      sizes = [
        (found.get(f"{kind}_height", usual), found.get(f"{kind}_width", usual))
        for kind, usual in (("num_spatial_bins", 3), ("crop", 12))
      ]
      require(
        all(height == width for height, width in sizes),
        f"as many bins and points in height as in width in {self.title}",
        sizes=sizes,
      )
      (bins, _), (crop_px, _) = sizes
      depth = found.get("depth", 1024)
      return RFCNConfig(**fields, bins=bins, crop_px=crop_px, depth=depth)
    self.only(
      found,
      name,
      predict_instance_masks=False,
      predict_keypoints=False,
      share_box_across_classes=False,
    )
    crop_px = message.get("initial_crop_size", 14)
    config = FasterRCNNConfig(**fields, crop_px=crop_px)
    pool = head_of(config).pool
    self.only(message, "model.faster_rcnn", maxpool_stride=pool)
    self.only(message, "model.faster_rcnn", maxpool_kernel_size=pool)
    return config


def _places(
  model: Any,
  ids: Sequence[int],
  anchor_order: AnchorOrder,
  *,
  config: FasterRCNNConfig,
  num_classes: int,
) -> dict[str, Place]:
  """Of the proposals' and the second stage's predictors."""
  del model, anchor_order
  groups, names = 1, ("ClassPredictor", "BoxEncodingPredictor")
  first = "FirstStageBoxPredictor"
  found = {
    "proposals_3x3": Place(scopes=("Conv",)),
    "proposals_objectness_logits": Place(scopes=(f"{first}/{names[0]}",)),
    "proposals_box_codes": Place(scopes=(f"{first}/{names[1]}",)),
  }
  if isinstance(config, RFCNConfig):
    groups, names = (
      head_of(config).bins ** 2,
      ("class_predictions", "refined_locations"),
    )
    found["reduced_depth"] = Place(scopes=(f"{_PREDICTOR}/reduce_depth",))
  codes = [4 * (number - 1) + code for number in ids for code in range(4)]
  for kind, name, size, columns in (
    ("class_logits", names[0], num_classes + 1, [0, *ids]),
    ("box_codes", names[1], 4 * num_classes, codes),
  ):
    found[f"second_stage_{kind}"] = Place(
      scopes=(f"{_PREDICTOR}/{name}",), change=chosen(range(groups), size, columns)
    )
  return found
