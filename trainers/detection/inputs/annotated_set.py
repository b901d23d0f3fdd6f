"""The images that a detector is measured on, and what there is to find in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import AnnotatedImage
from hardmine.schemas.config import require
from hardmine.trainers.images import decode_rgb
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes, GroundTruth


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedSet:
  """Images with their ground truth.

  Attributes:
    images: can be looped over again and again, always in the same order.
    names: of the images' files.
    sizes_px: int64 [images, 2], height and width.
    truth: boxes in pixels, as the metrics take them.
    categories: all that there could be.
  """

  images: Iterable[AnnotatedImage]
  names: tuple[str, ...]
  sizes_px: np.ndarray
  truth: GroundTruth
  categories: Categories

  @classmethod
  def of(cls, images: Iterable[AnnotatedImage], categories: Categories) -> AnnotatedSet:
    """Reads every annotation once.

    Image ids are the data set's own where all of them are different numbers, else
    they count from 1.

    Raises:
      ValueError: there is no image, or an object of an unknown category.
    """
    names, sources, sizes = [], [], []
    columns: dict[str, list[Any]] = {
      name: [] for name in ("index", "category", "boxes", "areas", "crowds")
    }
    for index, image in enumerate(images):
      names.append(image.filename)
      sources.append(image.source_id)
      sizes.append((image.height_px, image.width_px))
      columns["index"].append(np.full(len(image.labels), index))
      columns["category"].append(image.category_ids)
      columns["boxes"].append(boxes_xywh_px(true_boxes_yxyx_px(image)))
      columns["areas"].append(image.areas_px)
      columns["crowds"].append(image.is_crowd)
    require(len(names) > 0, "at least one image in the split", num_images=len(names))
    ids = [int(source) if source.isdecimal() else -1 for source in sources]
    if min(ids) < 0 or len(set(ids)) < len(ids) or max(ids) >= 1 << 63:
      ids = list(range(1, len(ids) + 1))
    image_ids = np.array(ids, np.int64)
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    return cls(
      images=images,
      names=tuple(names),
      sizes_px=np.array(sizes, np.int64),
      truth=GroundTruth(
        image_ids=image_ids,
        category_ids=np.array(categories.ids, np.int64),
        box_image_ids=image_ids[joined["index"]],
        box_category_ids=joined["category"].astype(np.int64),
        boxes_xywh_px=joined["boxes"],
        areas_px=joined["areas"].astype(np.float64),
        is_crowd=joined["crowds"].astype(bool),
        category_names=categories.names,
      ),
      categories=categories,
    )

  @property
  def num_objects(self) -> int:
    """Boxes to be found, so without crowds."""
    return int((~self.truth.is_crowd).sum())

  def to_coco(self) -> dict[str, Any]:
    """The content of `annotations.json`, in COCO's format."""
    truth = self.truth
    return {
      "images": [
        {"id": number, "file_name": name, "height": height, "width": width}
        for number, name, (height, width) in zip(
          truth.image_ids.tolist(), self.names, self.sizes_px.tolist()
        )
      ],
      "categories": [
        {"id": one.id, "name": one.name} for one in self.categories.categories
      ],
      "annotations": [
        {
          "id": number,
          "image_id": image_id,
          "category_id": category_id,
          "bbox": box,
          "area": area,
          "iscrowd": int(crowd),
        }
        for number, (image_id, category_id, box, area, crowd) in enumerate(
          zip(
            truth.box_image_ids.tolist(),
            truth.box_category_ids.tolist(),
            truth.boxes_xywh_px.tolist(),
            truth.areas_px.tolist(),
            truth.is_crowd.tolist(),
          ),
          start=1,
        )
      ],
    }


def pixels_of(image: AnnotatedImage) -> np.ndarray:
  """uint8 [height, width, 3], as a viewer shows the image."""
  return decode_rgb(image.encoded)


def true_boxes_yxyx_px(image: AnnotatedImage) -> np.ndarray:
  """float64 [n, 4] in pixels of the image."""
  sides = (image.height_px, image.width_px) * 2
  return image.boxes_yxyx_norm.astype(np.float64) * np.array(sides, np.float64)


def boxes_xywh_px(boxes_yxyx_px: np.ndarray) -> np.ndarray:
  """Corners [n, 4] to left, top, width and height, float64 [n, 4]."""
  ymin, xmin, ymax, xmax = boxes_yxyx_px.astype(np.float64).T
  return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=-1)


def detected_boxes(
  truth: GroundTruth, found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[DetectedBoxes, int]:
  """What was detected in all images of a set, as the metrics take it.

  Args:
    truth: of the set.
    found: of every image in order, boxes_yxyx_px [n, 4], scores [n] and category ids
      [n], best first.

  Returns:
    The boxes, and how many were left out: those of categories that the truth lacks.
  """
  counts = [len(scores) for _, scores, _ in found]
  boxes, scores, category_ids = (np.concatenate(column) for column in zip(*found))
  known = np.isin(category_ids, truth.category_ids)
  detections = DetectedBoxes(
    image_ids=np.repeat(truth.image_ids, counts)[known],
    category_ids=category_ids.astype(np.int64)[known],
    boxes_xywh_px=boxes_xywh_px(boxes[known]),
    scores=scores.astype(np.float64)[known],
  )
  return detections, int((~known).sum())
