"""What a detector is made of."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hardmine.schemas.config import Config, require


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
    for name in ("score_threshold", "iou_threshold"):
      value = getattr(self, name)
      require(0 <= value <= 1, f"{name} in [0, 1]", **{name: value})
    for name in ("max_per_class", "max_detections"):
      require(getattr(self, name) > 0, f"{name} > 0", **{name: getattr(self, name)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSDConfig(Config):
  """An SSD as Huang et al. use it (1611.10012; Liu et al., 1512.02325).

  Attributes:
    feature_extractor: a class of `hardmine.trainers.detection.feature_extractors`.
    width: multiplier of the extractor's depths.
    resolution_px: side of the square that every image is resized to: 300 is the
      study's low resolution, 600 its high one.
    initial_weights: `imagenet` (downloaded by Keras), the path of an `.npz` with
      Keras weight names, or None: from nothing.
    min_scale: anchor scale on the finest map, a share of the image's side.
    max_scale: anchor scale on the coarsest map.
    aspect_ratios: width over height.
    matcher: how anchors find their objects; both force every object's best anchor.
    matched_iou: anchors that overlap an object by this much or more are positive.
    classification: `sigmoid` scores every category by itself, `softmax` lets them
      and the background compete.
    localization: the loss of box codes.
    localization_weight: factor of that loss.
    negatives_per_positive: hard example mining keeps the worst so many; 0 keeps all.
    postprocessing: of the exported model.
  """

  feature_extractor: type
  width: float = 1.0
  resolution_px: int = 300
  initial_weights: str | None = None
  min_scale: float = 0.2
  max_scale: float = 0.95
  aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 1 / 3)
  matcher: Literal["argmax", "bipartite"] = "argmax"
  matched_iou: float = 0.5
  classification: Literal["sigmoid", "softmax"] = "sigmoid"
  localization: Literal["smooth_l1", "l2"] = "smooth_l1"
  localization_weight: float = 1.0
  negatives_per_positive: float = 3.0
  postprocessing: PostprocessingConfig = PostprocessingConfig()

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


# A second meta-architecture joins here, as a union: with a `KIND`, so that the JSON of
# an SSD, and with it every id, cache and checkpoint, stays what it is.
DetectorConfig = SSDConfig


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
