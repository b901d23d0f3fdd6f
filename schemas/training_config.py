"""How a model is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from hardmine.schemas.codec_config import USUAL_ITERATIONS
from hardmine.schemas.config import Config, added, require
from hardmine.schemas.entropy_config import EntropyConfig

_POSITIVE = (
  "steps",
  "batch_size",
  "learning_rate",
  "decay_rate",
  "decay_steps",
  "checkpoint_steps",
  "summary_steps",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
  """One training run, whatever the model.

  Attributes:
    steps: optimizer steps.
    batch_size: examples per step, over all devices.
    learning_rate: the optimizer's rate after warm-up.
    warmup_steps: the rate rises linearly to `learning_rate` over so many steps.
    schedule: `constant`; `exponential` multiplies the rate by `decay_rate` every
      `decay_steps` steps; `cosine` falls to 0 at the last step; `stable` stays level
      and falls linearly to 0 over the last `cooldown_steps`.
    decay_rate: factor of the exponential schedule.
    decay_steps: steps between two factors of the exponential schedule.
    clip_norm: global norm to which gradients are clipped; None does not clip.
    seed: of weights, shuffling and whatever else is drawn at random.
    checkpoint_steps: steps between checkpoints.
    summary_steps: steps between progress lines and TensorBoard summaries; divides
      `steps`.
    mixed_precision: compute in float16 with float32 weights (GPUs only).
    strategy: `auto` uses every GPU, or the CPU where there is none; `mirrored` insists
      on the GPUs; `multiworker` trains on all machines that TF_CONFIG names. Whatever
      shares a step, the result is that of one device with the whole batch.
    cooldown_steps: of the schedule `stable`; 0 never falls, so that a training may
      go on for as long as somebody likes.
  """

  steps: int
  batch_size: int = 32
  learning_rate: float = 5e-4
  warmup_steps: int = 0
  schedule: Literal["constant", "exponential", "cosine", "stable"] = "constant"
  decay_rate: float = 0.5
  decay_steps: int = 10_000
  clip_norm: float | None = None
  seed: int = 0
  checkpoint_steps: int = 500
  summary_steps: int = 100
  mixed_precision: bool = False
  strategy: Literal["auto", "cpu", "one_gpu", "mirrored", "multiworker"] = "auto"
  cooldown_steps: int = added(0)

  def __post_init__(self):
    for name in _POSITIVE:
      value = getattr(self, name)
      require(0 < value < math.inf, f"a finite {name} > 0", **{name: value})
    require(self.seed >= 0, "seed >= 0", seed=self.seed)
    require(
      0 <= self.warmup_steps < self.steps,
      "0 <= warmup_steps < steps",
      warmup_steps=self.warmup_steps,
      steps=self.steps,
    )
    require(
      self.steps % self.summary_steps == 0,
      "steps to be a multiple of summary_steps",
      steps=self.steps,
      summary_steps=self.summary_steps,
    )
    require(
      self.clip_norm is None or self.clip_norm > 0,
      "clip_norm > 0",
      clip_norm=self.clip_norm,
    )
    require(
      0 <= self.cooldown_steps <= self.steps
      and (not self.cooldown_steps or self.schedule == "stable"),
      "0 <= cooldown_steps <= steps, and 0 unless the schedule is stable",
      cooldown_steps=self.cooldown_steps,
      schedule=self.schedule,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecTrainingConfig(TrainingConfig):
  """Of a recurrent codec, with Adam.

  Attributes:
    iterations: unrolled codec iterations (16 in 1608.05148).
    adam_epsilon: 1e-7 goes with rates near 5e-4; the papers' rates of 0.1 to 2
      only make sense with 1.0.
    pixel_loss: of the residual: its mean `absolute` value (1608.05148), its mean
      `square` (1511.06085), or the absolute value weighted by how unlike the pictures
      are around a pixel, `ssim_weighted` (Johnston et al. 2017, arXiv 1703.10114).
    ms_ssim_weight: of 1 - MS-SSIM, the multi-scale loss, beside that of pixels.
    log_loss: the logarithms of both, iteration by iteration, so that late iterations,
      whose losses are small, count as much as early ones.
    early_weight: p of t^-p, by which the loss of iteration t counts; above 0 the first
      iterations count more, as they do in the area under a curve.
    ema_decay: the exported weights are moving averages with this decay; None exports
      the last ones.
    augment: patches are mirrored and turned at random.
    product_dtype: to which the recurrent units' convolutions round what they multiply
      and their results, in training only; states and weights stay float32, and so
      does every export. Processors with AMX multiply bfloat16 four times as fast.
    initial_weights: a `weights.npz` or a codec (STORE:ALIAS, a folder, the name of a
      shipped one) to begin with.
    score_steps: steps between two scorings of a `hardmine train` on its held-out
      photographs.
    entropy: after the training, an entropy model is fitted to the codec, which makes
      its files smaller; None fits none, and keeps that of the codec that the training
      begins with, if any.
    omission: share of the patches that are coded with a random height map, so that the
      codec bears streams whose plain parts have fewer codes (Johnston et al. 2017).
  """

  iterations: int = USUAL_ITERATIONS
  adam_epsilon: float = 1e-7
  ms_ssim_weight: float = added(0.0)
  log_loss: bool = added(False)
  ema_decay: float | None = added(None)
  augment: bool = added(False)
  product_dtype: Literal["float32", "bfloat16"] = added("float32")
  initial_weights: str | None = added(None)
  score_steps: int = added(1000)
  pixel_loss: Literal["absolute", "square", "ssim_weighted"] = added("absolute")
  entropy: EntropyConfig | None = added(None)  # noqa: RUF009
  omission: float = added(0.0)
  early_weight: float = added(0.0)

  def __post_init__(self):
    super().__post_init__()
    require(0 <= self.omission <= 1, "0 <= omission <= 1", omission=self.omission)
    require(self.iterations > 0, "iterations > 0", iterations=self.iterations)
    require(self.adam_epsilon > 0, "adam_epsilon > 0", adam_epsilon=self.adam_epsilon)
    require(self.score_steps > 0, "score_steps > 0", score_steps=self.score_steps)
    require(
      0 <= self.ms_ssim_weight < math.inf,
      "a finite ms_ssim_weight >= 0",
      ms_ssim_weight=self.ms_ssim_weight,
    )
    require(
      0 <= self.early_weight <= 2,
      "0 <= early_weight <= 2",
      early_weight=self.early_weight,
    )
    require(
      self.initial_weights != "", "a path or null", initial_weights=self.initial_weights
    )
    require(
      self.ema_decay is None or 0 < self.ema_decay < 1,
      "0 < ema_decay < 1",
      ema_decay=self.ema_decay,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationConfig(Config):
  """How training changes pictures at random, in this order; boxes follow.

  Attributes:
    zoom_out: share of the pictures that are made smaller and put somewhere on a ground
      of the mean colour, for small objects.
    zoom_out_max: their sides are divided by up to this.
    crop: share of the pictures of which only a part is seen; None is what the
      meta-architecture's authors did, 0.85 for SSD and none for the others.
    crop_areas: least and most of the picture that is seen.
    crop_aspect_ratios: of the part's width to its height, least and most.
    flip: share of the pictures that are mirrored left to right.
    colour: share of the pictures whose colours are changed, by all of what follows.
    brightness: of full scale, added or taken at most.
    contrast: factor of the difference from the picture's mean, 1 more or less at most.
    saturation: factor of the difference from grey, likewise.
    hue: of the circle, turned at most either way.
  """

  zoom_out: float = 0.0
  zoom_out_max: float = 4.0
  crop: float | None = None
  crop_areas: tuple[float, float] = (0.1, 1.0)
  crop_aspect_ratios: tuple[float, float] = (0.5, 2.0)
  flip: float = 0.5
  colour: float = 0.0
  brightness: float = 0.125
  contrast: float = 0.5
  saturation: float = 0.5
  hue: float = 0.05

  def __post_init__(self):
    for name in ("zoom_out", "crop", "flip", "colour", "brightness"):
      value = getattr(self, name)
      require(value is None or 0 <= value <= 1, f"{name} in [0, 1]", **{name: value})
    for name in ("contrast", "saturation"):
      value = getattr(self, name)
      require(0 <= value <= 1, f"{name} in [0, 1]", **{name: value})
    require(0 <= self.hue <= 0.5, "hue in [0, 0.5]", hue=self.hue)
    require(
      1 <= self.zoom_out_max <= 16,
      "zoom_out_max in [1, 16]",
      zoom_out_max=self.zoom_out_max,
    )
    for name, most in (("crop_areas", 1.0), ("crop_aspect_ratios", 100.0)):
      low, high = getattr(self, name)
      require(
        0 < low <= high <= most,
        f"{name} as two rising numbers above 0 and up to {most:g}",
        **{name: (low, high)},
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorTrainingConfig(TrainingConfig):
  """Of a detector.

  Attributes:
    optimizer: `rmsprop` as the study trains SSD (decay 0.9, epsilon 1), `momentum`
      as it trains Faster R-CNN, or `adam`; momentum 0.9 in the first two.
    weight_decay: L2 on every kernel, in the loss.
    batch_norm: `train` updates statistics and scales; `freeze` keeps the feature
      extractor's as its initial weights bring them, which small batches need.
    batch_norm_momentum: of the moving statistics (the study: 0.9997).
    frozen_blocks: blocks of the feature extractor, from the image on, that are
      not trained; saves their backward pass.
    ema_decay: the exported weights are moving averages with this decay; None
      exports the last ones.
    augment: pictures are changed as `augmentation` says; off shows them as they are.
    max_boxes: room for the objects of one image; where the data has more in one, there
      is as much as it needs.
    box_limit: objects of one image that training may learn, which bounds its memory;
      those behind them in the record are neither learned nor taken for background.
      None learns all.
    augmentation: flips, crops, zooms and colours.
    evaluate_steps: steps between two measurements of AP and AP50 on the held-out
      images, a multiple of `summary_steps`; the last step is measured too. None
      measures nothing until the end of the training.
    evaluate_images: of the held-out images, only the first so many; None takes all.
    keep: which weights are exported: those of the `last` step, or those that had the
      `best` AP of all that were measured.
    patience: training ends when so many measurements in a row brought no better AP;
      None goes on to the last step.
  """

  optimizer: Literal["rmsprop", "momentum", "adam"] = "rmsprop"
  weight_decay: float = 4e-5
  batch_norm: Literal["train", "freeze"] = "train"
  batch_norm_momentum: float = 0.9997
  frozen_blocks: int = 0
  ema_decay: float | None = None
  augment: bool = True
  max_boxes: int = 100
  box_limit: int | None = added(None)
  augmentation: AugmentationConfig = added(AugmentationConfig())  # noqa: RUF009
  evaluate_steps: int | None = added(None)
  evaluate_images: int | None = added(None)
  keep: Literal["last", "best"] = added("last")
  patience: int | None = added(None)

  def __post_init__(self):
    super().__post_init__()
    every = self.evaluate_steps
    require(
      every is None or (every > 0 and every % self.summary_steps == 0),
      "evaluate_steps as a multiple of summary_steps",
      evaluate_steps=every,
      summary_steps=self.summary_steps,
    )
    require(
      every is not None or (self.keep == "last" and self.patience is None),
      "evaluate_steps, without which nothing is known to be best or no better",
      evaluate_steps=every,
      keep=self.keep,
      patience=self.patience,
    )
    for name in ("evaluate_images", "patience"):
      value = getattr(self, name)
      require(value is None or value > 0, f"{name} > 0", **{name: value})
    for name in ("batch_norm_momentum", "ema_decay"):
      value = getattr(self, name)
      require(value is None or 0 < value < 1, f"0 < {name} < 1", **{name: value})
    require(
      self.box_limit is None or self.box_limit > 0,
      "box_limit > 0",
      box_limit=self.box_limit,
    )
    require(
      self.weight_decay >= 0 and self.frozen_blocks >= 0 and self.max_boxes > 0,
      "weight_decay and frozen_blocks >= 0, max_boxes > 0",
      weight_decay=self.weight_decay,
      frozen_blocks=self.frozen_blocks,
      max_boxes=self.max_boxes,
    )
