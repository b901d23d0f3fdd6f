"""Detections as JSON values, alike on the command line and over HTTP."""

from __future__ import annotations

from typing import Any

from hardmine.schemas.categories import Categories
from hardmine.trainers.detection.detector import Detections


def to_objects(found: Detections, categories: Categories) -> list[dict[str, Any]]:
  """One dictionary an object, best first.

  Returns:
    `category` and `category_id`, `score`, and the box twice: `box_yxyx_px` are ymin,
    xmin, ymax, xmax; `box_xywh_px` are COCO's x, y, width, height; all in pixels.
  """
  names = dict(zip(categories.ids, categories.names))
  objects = []
  for box, score, category_id in zip(
    found.boxes_yxyx_px.tolist(), found.scores.tolist(), found.category_ids.tolist()
  ):
    ymin, xmin, ymax, xmax = box
    objects.append(
      {
        "category": names[category_id],
        "category_id": category_id,
        "score": score,
        "box_xywh_px": [xmin, ymin, xmax - xmin, ymax - ymin],
        "box_yxyx_px": box,
      }
    )
  return objects
