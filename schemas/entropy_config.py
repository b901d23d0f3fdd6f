"""How the entropy model of a codec is fitted."""

from __future__ import annotations

import dataclasses

from hardmine.schemas.config import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class EntropyConfig(Config):
  """Of a context model (`hardmine.trainers.codec.entropy`).

  Attributes:
    images: photographs to fit to, as paths, patterns or folders; none takes those that
      the experiment mines.
    max_images: of them, at most so many, evenly over all.
    max_side_px: larger ones are shrunk to this.
    whole_share: of them, so many are coded to their last iteration, the others to the
      fourth, which takes less time.
    held_out_share: of them, so many are not fitted to, and say what coding saves.
    stages: iterations that share weights, by the last of each; those behind the last
      of these share one more.
    hidden: units of a stage's network.
    group: channels of a position that are coded at once, a divisor of 32; fewer are
      slower and save a little more.
    steps: of every stage.
    batch_size: positions.
    learning_rate: the highest, of AdamW.
    weight_decay: likewise.
    penalty: of the squares of all weights, in bits over all positions of a stage, so
      that few photographs are learned from with more care.
    dropout: share of the bits around that fitting does not show.
    seed: of the first weights and the order of the data.
  """

  images: tuple[str, ...] = ()
  max_images: int = 300
  max_side_px: int = 640
  whole_share: float = 0.4
  held_out_share: float = 0.05
  stages: tuple[int, ...] = (1, 2, 3, 4)
  hidden: int = 96
  group: int = 4
  steps: int = 1000
  batch_size: int = 1024
  learning_rate: float = 2e-3
  weight_decay: float = 0.0
  dropout: float = 0.0
  penalty: float = 100.0
  seed: int = 0

  def __post_init__(self):
    for name in ("max_images", "hidden", "steps", "batch_size"):
      value = getattr(self, name)
      require(value > 0, f"{name} > 0", **{name: value})
    require(self.max_side_px >= 64, "max_side_px >= 64", max_side_px=self.max_side_px)
    require(self.hidden <= 512, "hidden <= 512", hidden=self.hidden)
    require(
      0 <= self.held_out_share < 1,
      "held_out_share from 0 to below 1",
      held_out_share=self.held_out_share,
    )
    require(
      0 < self.whole_share <= 1,
      "whole_share above 0 and up to 1",
      whole_share=self.whole_share,
    )
    require(
      self.group in (1, 2, 4, 8, 16, 32), "a group that divides 32", group=self.group
    )
    require(
      all(a < b for a, b in zip((0, *self.stages), self.stages)),
      "rising stages above 0",
      stages=self.stages,
    )
    require(0 <= self.dropout < 1, "dropout from 0 to below 1", dropout=self.dropout)
    for name in ("learning_rate", "weight_decay", "penalty"):
      value = getattr(self, name)
      require(value >= 0, f"{name} >= 0", **{name: value})
