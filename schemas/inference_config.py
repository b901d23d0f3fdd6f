"""How a finished model is let loose on a folder or a bucket of photographs."""

from __future__ import annotations

import dataclasses
import math

from hardmine.schemas.config import Config, added, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class InferenceConfig(Config):
  """One job; what its kind of model is asked is added by subclasses.

  Attributes:
    images: glob patterns of the photographs.
    model_digest: of the model's files (`components.inference.staged_model`).
    runtime: runs the model on the workers, one of `trainers.runtime.choice.RUNTIMES`.
    num_shards: files of records.
    max_dead_share: the job fails when more than this share of the photographs
      cannot be used.
    max_pixels: larger images are refused before they are decoded.
  """

  images: tuple[str, ...]
  model_digest: str
  runtime: str = "onnxruntime"
  num_shards: int = 4
  max_dead_share: float = 0.1
  max_pixels: int = 200_000_000

  def __post_init__(self):
    require(bool(self.images), "at least one glob", images=self.images)
    require(self.num_shards > 0, "num_shards > 0", num_shards=self.num_shards)
    require(
      0 <= self.max_dead_share <= 1,
      "a share between 0 and 1",
      max_dead_share=self.max_dead_share,
    )
    require(self.max_pixels > 0, "max_pixels > 0", max_pixels=self.max_pixels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionJobConfig(InferenceConfig):
  """Detections in photographs.

  Attributes:
    min_score: what scores less is left out; evaluation needs all.
    max_boxes: all but the surest so many of a photograph are left out.
    categories: names of those that are looked for; None is all of the model's.
  """

  min_score: float = 0.0
  max_boxes: int | None = None
  categories: tuple[str, ...] | None = None

  def __post_init__(self):
    super().__post_init__()
    require(0 <= self.min_score <= 1, "0 to 1", min_score=self.min_score)
    require(
      self.max_boxes is None or self.max_boxes > 0,
      "1 or more",
      max_boxes=self.max_boxes,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodingJobConfig(InferenceConfig):
  """Compressed photographs.

  Attributes:
    iterations: of every stream; as many as help where no target is given.
    bpp: bits per pixel that no stream exceeds.
    max_bytes: bytes that none exceeds.
    ms_ssim: that as few iterations as can do reach.
    alpha: `keep`, or the colour that transparent pictures are laid over, as #ffffff.
    keep_metadata: EXIF, XMP, and who may copy.
    keep_location: places and serial numbers in them, too.
    adaptive: every part of a picture gets as many iterations as it is worth, which its
      stream tells in a height map.
  """

  iterations: int | None = None
  bpp: float | None = None
  max_bytes: int | None = added(None)
  ms_ssim: float | None = added(None)
  alpha: str = added("keep")
  keep_metadata: bool = added(False)
  keep_location: bool = added(False)
  adaptive: bool = added(False)

  def __post_init__(self):
    super().__post_init__()
    targets = ("iterations", "bpp", "max_bytes", "ms_ssim")
    given = {one: getattr(self, one) for one in targets}
    given = {one: value for one, value in given.items() if value is not None}
    require(len(given) <= 1, f"only one of {', '.join(targets)}", **given)
    require(
      self.iterations is None or self.iterations > 0,
      "1 iteration or more",
      iterations=self.iterations,
    )
    require(
      self.bpp is None or (math.isfinite(self.bpp) and self.bpp > 0),
      "a finite bpp > 0",
      bpp=self.bpp,
    )
    require(
      self.max_bytes is None or self.max_bytes > 0,
      "1 byte or more",
      max_bytes=self.max_bytes,
    )
    require(
      self.ms_ssim is None or 0 < self.ms_ssim <= 1,
      "an MS-SSIM above 0, at most 1",
      ms_ssim=self.ms_ssim,
    )
    require(
      not self.adaptive or self.iterations is None,
      "bpp, max_bytes or ms_ssim beside adaptive, with which every part of a picture "
      "has its own number of iterations",
      iterations=self.iterations,
    )
