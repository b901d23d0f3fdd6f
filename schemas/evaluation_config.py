"""How a codec is measured and what it must reach."""

from __future__ import annotations

import dataclasses

from hardmine.schemas.codec_config import USUAL_ITERATIONS
from hardmine.schemas.config import Config, require
from hardmine.schemas.gates import Gate

# What gates can look at.
CODEC_METRICS = tuple(
  f"{metric}_auc{suffix}"
  for suffix in ("", "_files")
  for metric in ("ms_ssim", "psnr_hvs", "psnr")
)
DETECTION_METRICS = (
  *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
  *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
  "latency_seconds",
)


def _require_measured(gates: tuple[Gate, ...], metrics: tuple[str, ...]) -> None:
  """Better now than after hours of training, when no gate could pass."""
  for gate in gates:
    require(
      gate.metric in metrics,
      f"gates on what is measured: {', '.join(metrics)}",
      metric=gate.metric,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecEvaluationConfig(Config):
  """Rate-distortion over a folder of test images.

  Attributes:
    images: glob patterns; never photographs that were trained on.
    iterations: operating points measured, 0.125 bits per pixel apart.
    gates: what `verdict.json` is judged by.
    max_images: only the first so many, in order of name; None takes all.
  """

  images: tuple[str, ...]
  iterations: int = USUAL_ITERATIONS
  gates: tuple[Gate, ...] = ()
  max_images: int | None = None

  def __post_init__(self):
    require(bool(self.images), "at least one glob", images=self.images)
    require(0 < self.iterations <= 255, "1 to 255", iterations=self.iterations)
    _require_measured(self.gates, CODEC_METRICS)
    require(
      self.max_images is None or self.max_images > 0,
      "max_images > 0",
      max_images=self.max_images,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionEvaluationConfig(Config):
  """Mean average precision over one split of the examples.

  Attributes:
    split: never one that was trained on.
    gates: what `verdict.json` is judged by.
    max_images: only the first so many; None takes all.
    shown_min_score: boxes below it are counted but not drawn.
    num_shown: best and worst images in the report, so many of each.
  """

  split: str = "eval"
  gates: tuple[Gate, ...] = ()
  max_images: int | None = None
  shown_min_score: float = 0.3
  num_shown: int = 8

  def __post_init__(self):
    require(
      self.max_images is None or self.max_images > 0,
      "max_images > 0",
      max_images=self.max_images,
    )
    require(
      0 <= self.shown_min_score <= 1 and self.num_shown >= 0,
      "shown_min_score in [0, 1] and num_shown >= 0",
      shown_min_score=self.shown_min_score,
      num_shown=self.num_shown,
    )
    _require_measured(self.gates, DETECTION_METRICS)
