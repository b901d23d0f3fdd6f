"""Which detectors the study compares: all that it chose from, each with a name.

    faster_rcnn-resnet_101-stride_8-600-proposals_50
    rfcn-mobilenet_v1-stride_16-300-proposals_10
    ssd-inception_v2-300

Huang et al., 1611.10012: a meta-architecture, a feature extractor, its output stride, a
resolution and a number of proposals. They report 147 of them (`paper`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from hardmine.pipelines.experiments import find
from hardmine.schemas.config import require
from hardmine.schemas.detector_config import (
  DetectorConfig,
  FasterRCNNConfig,
  KeptProportions,
  ProposalConfig,
  RFCNConfig,
  SSDConfig,
  Stretched,
  detector_from_json,
)

# Module, which names it, and class.
EXTRACTORS = {
  "vgg_16": "VGG16",
  "mobilenet_v1": "MobileNetV1",
  "inception_v2": "InceptionV2",
  "inception_v3": "InceptionV3",
  "resnet_101": "ResNet101",
  "inception_resnet_v2": "InceptionResNetV2",
}
META_ARCHITECTURES = {
  "faster_rcnn": FasterRCNNConfig,
  "rfcn": RFCNConfig,
  "ssd": SSDConfig,
}
RESOLUTIONS_PX = (300, 600)
NUM_PROPOSALS = (10, 20, 50, 100, 300)
_STRIDE_8 = ("resnet_101", "inception_resnet_v2")
_MAX_SIDES_PX = {300: 512, 600: 1024}
# What the paper gives no result for.
_NO_RFCN = ("vgg_16", "inception_v3")
_SSD = {
  300: ("vgg_16", "mobilenet_v1", "inception_v2", "resnet_101", "inception_resnet_v2"),
  600: ("inception_v2", "resnet_101"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combination:
  """A detector of the study, or one that a user puts beside them.

  Attributes:
    name: unique among those that are studied together.
    config: the network.
    num_categories: C.
    experiment: from where it comes, if its classes are a user's own.
    model: a folder of its trained weights, exported, where there are some.
  """

  name: str
  config: DetectorConfig
  num_categories: int
  experiment: str | None = None
  model: str | None = None

  def plain(self) -> dict[str, Any]:
    """JSON values of which `of` makes it again, in another process too."""
    fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    return {**fields, "config": self.config.to_json()}

  @classmethod
  def of(cls, plain: dict[str, Any]) -> Combination:
    """What `plain` was of."""
    if plain["experiment"] is not None:
      find(plain["experiment"])  # makes the classes beside it known
    return cls(**{**plain, "config": detector_from_json(plain["config"])})

  @property
  def meta_architecture(self) -> str:
    """As in names."""
    return self.config.KIND or "ssd"

  @property
  def feature_extractor(self) -> str:
    """As in names, of the study's own; else as the class is called."""
    name = self.config.feature_extractor.__name__
    return {cls: module for module, cls in EXTRACTORS.items()}.get(name, name)

  @property
  def top_1(self) -> float | None:
    """The extractor's accuracy on ImageNet in per cent, where it is known."""
    return getattr(self.config.feature_extractor, "TOP_1", None)

  @property
  def output_stride(self) -> int | None:
    """Pixels between two positions of the first stage's map; None of one stage."""
    config = self.config
    return config.output_stride if isinstance(config, FasterRCNNConfig) else None

  @property
  def num_proposals(self) -> int | None:
    """Boxes that the second stage looks at; None of one stage."""
    config = self.config
    if isinstance(config, FasterRCNNConfig):
      return config.proposals.max_proposals
    return None

  @property
  def resolution_px(self) -> int:
    """The shorter side of what the network sees."""
    config = self.config
    if isinstance(config, SSDConfig):
      return config.resolution_px
    if isinstance(config.resizer, Stretched):
      return min(config.resizer.height_px, config.resizer.width_px)
    return config.resizer.min_side_px

  @property
  def size_px(self) -> tuple[int, int]:
    """Rows and columns that the network sees of a square picture."""
    config = self.config
    if isinstance(config, SSDConfig):
      return config.resolution_px, config.resolution_px
    return config.resizer.size_px(1000, 1000)

  @property
  def network(self) -> str:
    """What all share whose weights are the same: proposals and the size of pictures
    are no weights of two stages."""
    config = self.config
    if isinstance(config, FasterRCNNConfig):
      config = dataclasses.replace(
        config, resizer=KeptProportions(), proposals=_with_proposals(config, 300)
      )
    return f"{self.model or ''} {self.num_categories} {config.to_json()}"


def paper(width: float = 1.0, num_categories: int = 90) -> list[Combination]:
  """The 147 that the study reports.

  Args:
    width: multiplier of all extractors' depths.
    num_categories: 90 as the study's, who kept COCO's numbers with their gaps.
  """
  return [
    one
    for one in everything(width, num_categories)
    if not (one.meta_architecture == "rfcn" and one.feature_extractor in _NO_RFCN)
    and not (
      one.meta_architecture == "ssd"
      and one.feature_extractor not in _SSD[one.resolution_px]
    )
  ]


def everything(width: float = 1.0, num_categories: int = 90) -> list[Combination]:
  """All pairs with all choices, also those that the paper left out."""
  found = []
  for kind in META_ARCHITECTURES:
    for extractor in EXTRACTORS:
      strides = (16, 8) if extractor in _STRIDE_8 else (16,)
      for stride in strides if kind != "ssd" else (16,):
        for resolution in RESOLUTIONS_PX:
          for proposals in NUM_PROPOSALS if kind != "ssd" else (0,):
            found.append(
              _combination(
                kind, extractor, stride, resolution, proposals, width, num_categories
              )
            )
  return found


def chosen(combinations: Sequence[Combination], patterns: Iterable[str]) -> list:
  """Those whose name one of the patterns matches, in their order.

  Raises:
    ValueError: a pattern matches none.
  """
  patterns = list(patterns)
  for pattern in patterns:
    require(
      any(fnmatch.fnmatchcase(one.name, pattern) for one in combinations),
      f"a pattern that matches one of {len(combinations)} names, such as "
      f"{combinations[0].name if combinations else 'none'} (`*`, `?`, in quotes)",
      only=pattern,
    )
  return [
    one
    for one in combinations
    if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)
  ]


def variants(
  one: Combination, resolutions_px: Sequence[int] = (), numbers: Sequence[int] = ()
) -> list[Combination]:
  """A detector at each resolution with each number of proposals.

  Neither is of the weights of two stages, nor is there anything to choose of one stage.

  Args:
    one: the detector.
    resolutions_px: shorter sides that pictures are resized to; none keeps its own.
    numbers: of proposals, likewise.
  """
  if not isinstance(one.config, FasterRCNNConfig):
    return [one]
  found = [one]
  if resolutions_px:
    found = [_at_resolution(each, side) for each in found for side in resolutions_px]
  if numbers:
    found = [_looking_at(each, num) for each in found for num in numbers]
  return found


def _at_resolution(one: Combination, side_px: int) -> Combination:
  longest = _MAX_SIDES_PX.get(side_px, round(side_px * 1024 / 600))
  resizer = KeptProportions(min_side_px=side_px, max_side_px=longest)
  return dataclasses.replace(
    one,
    name=f"{one.name}-{side_px}",
    config=dataclasses.replace(one.config, resizer=resizer),
  )


def _looking_at(one: Combination, num: int) -> Combination:
  proposals = _with_proposals(one.config, num)
  return dataclasses.replace(
    one,
    name=f"{one.name}-proposals_{num}",
    config=dataclasses.replace(one.config, proposals=proposals),
  )


def extractor_class(name: str) -> type:
  """Of one of `EXTRACTORS`; imports Keras."""
  module = importlib.import_module(
    f"hardmine.trainers.detection.feature_extractors.{name}"
  )
  return getattr(module, EXTRACTORS[name])


def _combination(
  kind: str,
  extractor: str,
  stride: int,
  resolution: int,
  proposals: int,
  width: float,
  num_categories: int,
) -> Combination:
  name = f"{kind}-{extractor}"
  feature_extractor = extractor_class(extractor)
  if kind == "ssd":
    return Combination(
      name=f"{name}-{resolution}",
      config=SSDConfig(
        feature_extractor=feature_extractor, width=width, resolution_px=resolution
      ),
      num_categories=num_categories,
    )
  return Combination(
    name=f"{name}-stride_{stride}-{resolution}-proposals_{proposals}",
    config=META_ARCHITECTURES[kind](
      feature_extractor=feature_extractor,
      width=width,
      resizer=KeptProportions(
        min_side_px=resolution, max_side_px=_MAX_SIDES_PX[resolution]
      ),
      output_stride=stride,
      proposals=ProposalConfig(max_proposals=proposals),
    ),
    num_categories=num_categories,
  )


def _with_proposals(config: Any, num: int) -> ProposalConfig:
  return dataclasses.replace(config.proposals, max_proposals=num)
