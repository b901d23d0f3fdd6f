"""The images of a split, as `trainers.detection.inputs.annotated_set` takes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hardmine.components.jobs.tfrecords import read_records
from hardmine.schemas.coco_example import AnnotatedImage, from_example
from hardmine.trainers.detection.inputs.annotated_set import (
  AnnotatedSet,
  boxes_xywh_px,
  detected_boxes,
  pixels_of,
  true_boxes_yxyx_px,
)

__all__ = [
  "AnnotatedSet",
  "SplitRecords",
  "boxes_xywh_px",
  "detected_boxes",
  "pixels_of",
  "true_boxes_yxyx_px",
]


class SplitRecords:
  """The annotated images of a split, read from its files anew by every loop.

  Thousands of photographs need not fit into the memory.

  Args:
    split_dir: holds the TFRecords, `*.gz`.
    max_images: only the first so many, None for all.
  """

  def __init__(self, split_dir: str | Path, max_images: int | None = None):
    self.split_dir = Path(split_dir)
    self.max_images = max_images

  def __iter__(self) -> Iterator[AnnotatedImage]:
    paths = sorted(self.split_dir.glob("*.gz"))
    records = (record for path in paths for record in read_records(path))
    return (from_example(record) for record in islice(records, self.max_images))
