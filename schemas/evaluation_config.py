"""How a codec is measured and what it must reach."""

from __future__ import annotations

import dataclasses

from schemas.config import Config, require
from schemas.gates import Gate


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
  iterations: int = 16
  gates: tuple[Gate, ...] = ()
  max_images: int | None = None

  def __post_init__(self):
    require(bool(self.images), "at least one glob", images=self.images)
    require(0 < self.iterations <= 255, "1 to 255", iterations=self.iterations)
    require(
      self.max_images is None or self.max_images > 0,
      "max_images > 0",
      max_images=self.max_images,
    )
