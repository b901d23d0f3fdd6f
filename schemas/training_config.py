"""How a model is trained."""

from __future__ import annotations

import dataclasses
from typing import Literal

from schemas.config import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
  """One training run.

  Attributes:
    steps: optimizer steps.
    batch_size: examples per step, over all devices.
    iterations: unrolled codec iterations (16 in 1608.05148).
    learning_rate: Adam's rate at step 0.
    schedule: `constant`; `exponential` multiplies the rate by `decay_rate` every
      `decay_steps` steps; `cosine` falls to 0 at the last step.
    decay_rate: factor of the exponential schedule.
    decay_steps: steps between two factors of the exponential schedule.
    adam_epsilon: 1e-7 goes with rates near 5e-4; the papers' rates of 0.1 to 2
      only make sense with 1.0.
    clip_norm: global norm to which gradients are clipped; None does not clip.
    seed: of weights, shuffling and the binarizer's noise.
    checkpoint_steps: steps between checkpoints.
    summary_steps: steps between progress lines and TensorBoard summaries; divides
      `steps`.
    mixed_precision: compute in float16 with float32 weights (GPUs only).
    strategy: `auto` uses every GPU, or the CPU where there is none.
  """

  steps: int
  batch_size: int = 32
  iterations: int = 16
  learning_rate: float = 5e-4
  schedule: Literal["constant", "exponential", "cosine"] = "constant"
  decay_rate: float = 0.5
  decay_steps: int = 10_000
  adam_epsilon: float = 1e-7
  clip_norm: float | None = None
  seed: int = 0
  checkpoint_steps: int = 500
  summary_steps: int = 100
  mixed_precision: bool = False
  strategy: Literal["auto", "cpu", "one_gpu", "mirrored"] = "auto"

  def __post_init__(self):
    for name in (
      "steps",
      "batch_size",
      "iterations",
      "learning_rate",
      "decay_rate",
      "decay_steps",
      "adam_epsilon",
      "checkpoint_steps",
      "summary_steps",
    ):
      require(getattr(self, name) > 0, f"{name} > 0", **{name: getattr(self, name)})
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
