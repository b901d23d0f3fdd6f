"""Finished detectors that answer together, and the views of a picture they are asked.

The content of `ensemble.json`, which `hardmine study ensemble` writes and
`hardmine detect --ensemble` reads.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import ClassVar

from hardmine.schemas.config import Config, require

MOST_CROPS = 8  # a side: 64 parts of a picture
IOU_THRESHOLD = 0.55  # that of the paper on fusing, arXiv 1910.13302
MOST_SIMILAR = 0.999  # cosine; the paper that chooses by it does not say


@dataclasses.dataclass(frozen=True, kw_only=True)
class Views(Config):
  """What a detector is shown of a picture; the whole of it always.

  Attributes:
    crops: parts a side, each half over its neighbours, beside the whole: 2 are four
      parts of two thirds of the sides. 1 is the whole picture alone.
    flip: each of these mirrored left to right too.
  """

  crops: int = 1
  flip: bool = False

  def __post_init__(self):
    require(
      1 <= self.crops <= MOST_CROPS,
      f"1 to {MOST_CROPS} crops a side, 1 for none",
      crops=self.crops,
    )

  @property
  def num_passes(self) -> int:
    """How often a network runs for a picture."""
    num_windows = 1 + (self.crops**2 if self.crops > 1 else 0)
    return num_windows * (2 if self.flip else 1)

  @property
  def title(self) -> str:
    """In words, as in a table."""
    words = [f"{self.crops}x{self.crops} crops"] if self.crops > 1 else []
    return " and ".join([*words, *(["flip"] if self.flip else [])]) or "whole picture"


WHOLE = Views()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member(Config):
  """One model of an ensemble.

  Attributes:
    places: where it lies, the first that is there counts: a folder, STORE:ALIAS or
      STORE:VERSION, relative ones from the folder of the file that says so.
    model_id: 16 hex digits that it must have, or None for whatever lies there.
    weight: of its answers beside the others', above 0.
  """

  places: tuple[str, ...]
  model_id: str | None = None
  weight: float = 1.0

  def __post_init__(self):
    require(
      bool(self.places) and all(self.places), "places of a model", places=self.places
    )
    require_weight(self.weight)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig(Config):
  """Models, what they are shown, and how their answers become one.

  Attributes:
    members: the models, in any order.
    views: what each is shown of a picture.
    iou_threshold: boxes of different answers that overlap by more (intersection over
      union) and are of one category are of one object, in (0, 1).
  """

  KIND: ClassVar[str | None] = "ensemble"
  members: tuple[Member, ...]
  views: Views = WHOLE
  iou_threshold: float = IOU_THRESHOLD

  def __post_init__(self):
    require(bool(self.members), "at least one model", members=self.members)
    require_threshold(self.iou_threshold)

  def to_file(self) -> str:
    """The content of `ensemble.json`."""
    return json.dumps(json.loads(self.to_json()), indent=2, ensure_ascii=False) + "\n"


def require_weight(weight: float) -> None:
  """Raises ValueError unless an answer may have this weight."""
  require(math.isfinite(weight) and weight > 0, "a weight above 0", weight=weight)


def require_threshold(iou_threshold: float) -> None:
  """Raises ValueError unless boxes can be fused by this threshold."""
  require(0 < iou_threshold < 1, "0 < iou_threshold < 1", iou_threshold=iou_threshold)
