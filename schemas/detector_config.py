"""What a detector is made of."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from hardmine.schemas.config import Config, added, require


def _require_sides(**sides_px: int) -> None:
  for name, side_px in sides_px.items():
    require(side_px >= 64, "at least 64 pixels", **{name: side_px})


def _require_share(**shares: float | None) -> None:
  for name, share in shares.items():
    require(share is None or 0 <= share <= 1, f"{name} in [0, 1]", **{name: share})


def _require_positive(**numbers: float | None) -> None:
  for name, number in numbers.items():
    require(number is None or number > 0, f"{name} > 0", **{name: number})


@dataclasses.dataclass(frozen=True, kw_only=True)
class PostprocessingConfig(Config):
  """From raw predictions to detections (1611.10012, section 3.1: IoU 0.6).

  Attributes:
    score_threshold: lower scores are dropped before suppression.
    iou_threshold: of two boxes that overlap more, the worse one goes.
    max_per_class: boxes kept of one category.
    max_detections: boxes kept of one image; the output's static size.
    class_agnostic: boxes suppress each other across categories.
  """

  score_threshold: float = 1e-2
  iou_threshold: float = 0.6
  max_per_class: int = 100
  max_detections: int = 100
  class_agnostic: bool = False

  def __post_init__(self):
    _require_share(
      score_threshold=self.score_threshold, iou_threshold=self.iou_threshold
    )
    _require_positive(
      max_per_class=self.max_per_class, max_detections=self.max_detections
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretched(Config):
  """Pictures become one size whatever their proportions.

  Attributes:
    height_px: of what the network sees.
    width_px: likewise.
  """

  KIND: ClassVar[str | None] = "stretched"

  height_px: int
  width_px: int

  def __post_init__(self):
    _require_sides(height_px=self.height_px, width_px=self.width_px)

  def size_px(self, height_px: int, width_px: int) -> tuple[int, int]:
    """The height and width that a picture of a size is resized to."""
    del height_px, width_px
    return self.height_px, self.width_px


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptProportions(Config):
  """The shorter side becomes a length, or the longer one where it would be too long.

  Attributes:
    min_side_px: of the shorter side: 300 is the study's low resolution, 600 its high.
    max_side_px: that the longer side never exceeds.
  """

  KIND: ClassVar[str | None] = "kept_proportions"

  min_side_px: int = 600
  max_side_px: int = 1024

  def __post_init__(self):
    _require_sides(min_side_px=self.min_side_px, max_side_px=self.max_side_px)
    require(
      self.min_side_px <= self.max_side_px,
      "min_side_px <= max_side_px",
      min_side_px=self.min_side_px,
      max_side_px=self.max_side_px,
    )

  def size_px(self, height_px: int, width_px: int) -> tuple[int, int]:
    """The height and width that a picture of a size is resized to; 1 or more."""
    sides = height_px, width_px
    shorter, longer = min(sides), max(sides)
    # whole numbers, so that everybody rounds alike
    numerator, denominator = self.min_side_px, shorter
    if longer * numerator > self.max_side_px * denominator:
      numerator, denominator = self.max_side_px, longer
    height, width = (
      max(1, (2 * side * numerator + denominator) // (2 * denominator))
      for side in sides
    )
    return height, width


Resizer = Stretched | KeptProportions
Localization = Literal["smooth_l1", "l2", "iou"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSDConfig(Config):
  """An SSD as Huang et al. use it (1611.10012; Liu et al., 1512.02325).

  Attributes:
    feature_extractor: a class of `hardmine.trainers.detection.feature_extractors`.
    width: multiplier of the extractor's depths.
    resolution_px: side of the square that every image is resized to: 300 is the
      study's low resolution, 600 its high one.
    initial_weights: `imagenet` (downloaded by Keras), an `.npz` with Keras weight
      names, a checkpoint of TensorFlow 1, a detector (STORE:ALIAS or its folder), or
      None: from nothing.
    min_scale: anchor scale on the finest map, a share of the image's side.
    max_scale: anchor scale on the coarsest map.
    aspect_ratios: width over height.
    matcher: how anchors find their objects; `argmax` and `bipartite` force every
      object's best anchor, `center` takes the anchor in whose cell its centre lies.
    matched_iou: anchors that overlap an object by this much or more are positive.
    classification: `sigmoid` scores every category by itself, `softmax` lets them
      and the background compete.
    localization: the loss of box codes.
    localization_weight: factor of that loss.
    negatives_per_positive: hard example mining keeps the worst so many; 0 keeps all.
    postprocessing: of the exported model.
    box_coding: how a box is told from its anchor, see `box_coder`.
    duplicate_iou: hard example mining first drops predicted boxes that overlap a worse
      one by more than this, as the study does at 0.99; None keeps them.
  """

  feature_extractor: type
  width: float = 1.0
  resolution_px: int = 300
  initial_weights: str | None = None
  min_scale: float = 0.2
  max_scale: float = 0.95
  aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 1 / 3)
  matcher: Literal["argmax", "bipartite", "center"] = "argmax"
  matched_iou: float = 0.5
  classification: Literal["sigmoid", "softmax"] = "sigmoid"
  localization: Localization = "smooth_l1"
  localization_weight: float = 1.0
  negatives_per_positive: float = 3.0
  postprocessing: PostprocessingConfig = PostprocessingConfig()
  box_coding: Literal["log", "corners", "sqrt"] = added("log")
  duplicate_iou: float | None = added(None)

  def __post_init__(self):
    require(self.width > 0, "width > 0", width=self.width)
    require(
      self.resolution_px >= 64, "at least 64 pixels", resolution_px=self.resolution_px
    )
    require(
      0 < self.min_scale < self.max_scale <= 1,
      "0 < min_scale < max_scale <= 1",
      min_scale=self.min_scale,
      max_scale=self.max_scale,
    )
    require(0 < self.matched_iou < 1, "0 to 1", matched_iou=self.matched_iou)
    require(
      self.negatives_per_positive >= 0,
      "negatives_per_positive >= 0",
      negatives_per_positive=self.negatives_per_positive,
    )
    _require_share(duplicate_iou=self.duplicate_iou)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProposalConfig(Config):
  """The first stage: where objects may be, of whatever category.

  Ren et al., 1506.01497, section 3; 1611.10012, section 2.2 and the supplement.

  Attributes:
    base_px: side of an anchor of scale 1 and ratio 1.
    scales: of anchors.
    aspect_ratios: width over height.
    depth: of the 3x3 convolution before the predictions, whatever the width.
    matched_iou: anchors that overlap an object by this much or more are positive, and
      so is every object's best anchor.
    unmatched_iou: those that overlap all objects by less are negative; the others do
      not count.
    batch_size: anchors of an image that are learned from, drawn at random.
    positive_share: of them, at most.
    objectness_weight: factor of that loss.
    localization_weight: likewise.
    iou_threshold: of two proposals that overlap more, the worse one goes.
    max_proposals: kept of an image; may be another number after training.
  """

  base_px: float = 256.0
  scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
  aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
  depth: int = 512
  matched_iou: float = 0.7
  unmatched_iou: float = 0.3
  batch_size: int = 256
  positive_share: float = 0.5
  objectness_weight: float = 1.0
  localization_weight: float = 2.0
  iou_threshold: float = 0.7
  max_proposals: int = 300

  def __post_init__(self):
    require(
      0 <= self.unmatched_iou <= self.matched_iou <= 1,
      "0 <= unmatched_iou <= matched_iou <= 1",
      unmatched_iou=self.unmatched_iou,
      matched_iou=self.matched_iou,
    )
    _require_share(positive_share=self.positive_share, iou_threshold=self.iou_threshold)
    _require_positive(
      base_px=self.base_px,
      depth=self.depth,
      batch_size=self.batch_size,
      max_proposals=self.max_proposals,
      **{f"scales.{n}": scale for n, scale in enumerate(self.scales)},
      **{f"aspect_ratios.{n}": ratio for n, ratio in enumerate(self.aspect_ratios)},
    )
    require(bool(self.scales and self.aspect_ratios), "an anchor", scales=self.scales)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FasterRCNNConfig(Config):
  """A Faster R-CNN as Huang et al. use it (1611.10012; Ren et al., 1506.01497).

  Attributes:
    feature_extractor: a class of `hardmine.trainers.detection.feature_extractors`.
    width: multiplier of the extractor's depths.
    resizer: what pictures are resized to.
    output_stride: pixels between two positions of the first stage's map; 8 where the
      extractor has it.
    initial_weights: as in `SSDConfig`.
    proposals: the first stage.
    crop_px: side of the crop of a proposal from the first stage's map; None is what
      the study takes for the extractor.
    batch_size: proposals of an image that are learned from, drawn at random.
    positive_share: of them, at most.
    matched_iou: proposals that overlap an object by this much or more are positive.
    classification_weight: factor of that loss of the second stage.
    localization: the loss of box codes, in both stages.
    localization_weight: factor of that loss of the second stage.
    box_coding: as in `SSDConfig`, in both stages.
    hard_examples: instead of drawing, learn from the worst so many proposals of an
      image, near duplicates dropped; None draws.
    duplicate_iou: two proposals that overlap more are near duplicates.
    postprocessing: of the exported model.
  """

  KIND: ClassVar[str | None] = "faster_rcnn"

  feature_extractor: type
  width: float = 1.0
  resizer: Resizer = KeptProportions()
  output_stride: Literal[8, 16] = 16
  initial_weights: str | None = None
  proposals: ProposalConfig = ProposalConfig()
  crop_px: int | None = None
  batch_size: int = 64
  positive_share: float = 0.25
  matched_iou: float = 0.5
  classification_weight: float = 1.0
  localization: Localization = "smooth_l1"
  localization_weight: float = 2.0
  box_coding: Literal["log", "corners", "sqrt"] = "log"
  hard_examples: int | None = None
  duplicate_iou: float = 0.7
  postprocessing: PostprocessingConfig = PostprocessingConfig(max_detections=300)

  def __post_init__(self):
    _require_positive(
      width=self.width,
      batch_size=self.batch_size,
      crop_px=self.crop_px,
      hard_examples=self.hard_examples,
    )
    _require_share(
      positive_share=self.positive_share,
      matched_iou=self.matched_iou,
      duplicate_iou=self.duplicate_iou,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RFCNConfig(FasterRCNNConfig):
  """An R-FCN as Huang et al. use it (1611.10012; Dai et al., 1605.06409).

  Attributes:
    bins: parts of a side of a proposal, each with score maps of its own; None is what
      the study takes for the extractor. `crop_px` is a multiple of it.
    depth: of the convolution before the score maps, whatever the width.
  """

  KIND: ClassVar[str | None] = "rfcn"

  bins: int | None = None
  depth: int = 1024

  def __post_init__(self):
    super().__post_init__()
    _require_positive(bins=self.bins, depth=self.depth)


# All members but the first have a `KIND`, so that the JSON of an SSD, and with it every
# id, cache and checkpoint, stays what it is.
DetectorConfig = SSDConfig | FasterRCNNConfig | RFCNConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector(Config):
  """A detector's config where it travels alone."""

  detector: DetectorConfig


def detector_from_json(text: str) -> DetectorConfig:
  """The config of a detector, of whichever meta-architecture, from its JSON.

  Raises:
    ValueError: not JSON, of no kind that there is, or refused by its config.
  """
  return Detector.from_json(f'{{"detector": {text}}}').detector
