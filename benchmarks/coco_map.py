"""COCO's metrics against pycocotools, on synthetic images.

    python benchmarks/coco_map.py [--images 1000]

Each image has some 7 true boxes and 20 detections of 80 categories, two thirds of
them near a true box. Both sides start from data in memory in their own form: ours
from columns, checks and conversion included, theirs from an indexed COCO object;
timed there are `evaluate` and `accumulate`, once. Times are processor seconds, of all
threads together. Precisions and recalls must agree to 1e-9. Exits 1 where they do
not, or where the gain is below 5.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hardmine.trainers.metrics.coco_map import DetectedBoxes, GroundTruth, coco_map

NUM_CATEGORIES = 80
BOXES_AN_IMAGE = 7
DETECTIONS_AN_IMAGE = 20
REQUIRED_GAIN = 5.0
TOLERANCE = 1e-9
RUNS = 3  # of ours; the fastest counts


def synthetic(num_images: int) -> tuple[GroundTruth, DetectedBoxes]:
  """Boxes of all sizes, 2 % of them crowds, and detections around them."""
  random = np.random.default_rng(0)
  n, m = num_images * BOXES_AN_IMAGE, num_images * DETECTIONS_AN_IMAGE
  sizes = np.exp(random.uniform(np.log(8), np.log(300), (n, 2)))
  boxes = np.concatenate([random.uniform(0, 640 - sizes), sizes], axis=1)
  ground_truth = GroundTruth(
    image_ids=np.arange(num_images),
    category_ids=np.arange(1, NUM_CATEGORIES + 1),
    box_image_ids=random.integers(0, num_images, n),
    box_category_ids=random.integers(1, NUM_CATEGORIES + 1, n),
    boxes_xywh_px=boxes,
    areas_px=sizes.prod(1) * 0.7,
    is_crowd=random.random(n) < 0.02,
  )
  of = random.integers(0, n, m)
  near = boxes[of] + random.normal(0, 0.1, (m, 4)) * np.tile(sizes[of], 2)
  near[:, 2:] = np.maximum(near[:, 2:], 1)
  is_near = random.random(m) < 2 / 3
  return ground_truth, DetectedBoxes(
    image_ids=np.where(
      is_near, ground_truth.box_image_ids[of], random.integers(0, num_images, m)
    ),
    category_ids=np.where(
      is_near,
      ground_truth.box_category_ids[of],
      random.integers(1, NUM_CATEGORIES + 1, m),
    ),
    boxes_xywh_px=near,
    scores=random.random(m).round(3),
  )


def reference(ground_truth: GroundTruth, detections: DetectedBoxes) -> COCOeval:
  """The same data as pycocotools wants it, not evaluated yet."""
  truth, found = COCO(), COCO()
  images = [{"id": image} for image in ground_truth.image_ids.tolist()]
  categories = [{"id": category} for category in ground_truth.category_ids.tolist()]
  for dataset, columns in (
    (
      truth,
      {
        "image_id": ground_truth.box_image_ids,
        "category_id": ground_truth.box_category_ids,
        "bbox": ground_truth.boxes_xywh_px,
        "area": ground_truth.areas_px,
        "iscrowd": ground_truth.is_crowd,
      },
    ),
    (
      found,
      {
        "image_id": detections.image_ids,
        "category_id": detections.category_ids,
        "bbox": detections.boxes_xywh_px,
        "area": detections.boxes_xywh_px[:, 2:].prod(1),
        "score": detections.scores,
      },
    ),
  ):
    rows = zip(*(column.tolist() for column in columns.values()))
    dataset.dataset = {
      "images": images,
      "categories": categories,
      "annotations": [
        {"id": number, **dict(zip(columns, row))} for number, row in enumerate(rows, 1)
      ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
      dataset.createIndex()
  return COCOeval(truth, found, "bbox")


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--images", type=int, default=1000, help="synthetic images")
  arguments = parser.parse_args()
  ground_truth, detections = synthetic(arguments.images)
  ours_seconds = []
  for _ in range(RUNS):
    start = time.process_time()
    ours = coco_map(ground_truth, detections)
    ours_seconds.append(time.process_time() - start)
  theirs = reference(ground_truth, detections)
  start = time.process_time()
  with contextlib.redirect_stdout(io.StringIO()):
    theirs.evaluate()
    theirs.accumulate()
  their_seconds = time.process_time() - start
  gain = their_seconds / min(ours_seconds)
  difference = max(
    np.abs(ours.precision - theirs.eval["precision"][..., -1]).max(),
    np.abs(ours.recall - theirs.eval["recall"]).max(),
  )
  print(
    f"COCO metrics, {arguments.images} images, {len(ground_truth.areas_px)} boxes, "
    f"{len(detections.scores)} detections, AP {ours.summary['AP']:.3f}"
  )
  print(f"  pycocotools                  {1000 * their_seconds:8.1f} ms")
  print(
    f"  ours                         {1000 * min(ours_seconds):8.1f} ms"
    f"   {gain:5.1f} times faster"
  )
  print(f"  largest difference           {difference:.1e}")
  return int(gain < REQUIRED_GAIN or difference > TOLERANCE)


if __name__ == "__main__":
  sys.exit(main())
