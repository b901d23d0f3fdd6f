"""How annotated images become records."""

from __future__ import annotations

import dataclasses

from hardmine.schemas.config import Config, added, require

TRAIN, EVAL = "train", "eval"  # the splits that training needs


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedFolder(Config):
  """A folder of images, the annotations of some of them, and the split they go to.

  Attributes:
    images: the folder, local or a URL that fsspec knows.
    annotations: a COCO JSON file (`instances_*.json`), or a folder of Pascal VOC
      XML files.
    split: `train`, `eval`, or any other name.
    only: a file that lists the images to take, one file name a line, or a CSV with
      a column `filename` (Pascal's and the Object Detection API's splits); None
      takes all that are annotated.
  """

  images: str
  annotations: str
  split: str = "train"
  only: str | None = None

  def __post_init__(self):
    require(self.split.isidentifier(), "a name of letters", split=self.split)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionConfig(Config):
  """One conversion job.

  Attributes:
    sources: what to read; several may share a split. Ids belong to their source:
      other sources may have the same ones.
    num_shards: files per split; image i of a split goes to shard i mod num_shards.
    max_dead_share: the job fails when more than this share of the images, or of
      the annotations, cannot be used.
    max_pixels: larger images are refused before they are decoded.
    eval_share: share of the images of the split `train` that form the split `eval`
      instead, chosen by a hash of their file names; 0 where a source has that split.
  """

  sources: tuple[AnnotatedFolder, ...]
  num_shards: int = 4
  max_dead_share: float = 0.1
  max_pixels: int = 200_000_000
  eval_share: float = added(0.0)

  def __post_init__(self):
    require(bool(self.sources), "at least one source", sources=self.sources)
    require(self.num_shards > 0, "num_shards > 0", num_shards=self.num_shards)
    require(
      0 <= self.max_dead_share <= 1,
      "a share between 0 and 1",
      max_dead_share=self.max_dead_share,
    )
    require(self.max_pixels > 0, "max_pixels > 0", max_pixels=self.max_pixels)
    require(0 <= self.eval_share < 1, "0 <= eval_share < 1", eval_share=self.eval_share)
    splits = {source.split for source in self.sources}
    require(
      not self.eval_share or (TRAIN in splits and EVAL not in splits),
      f"eval_share=0, or a source of the split {TRAIN} and none of {EVAL}",
      eval_share=self.eval_share,
      splits=sorted(splits),
    )
