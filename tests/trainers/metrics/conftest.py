"""Random evaluation sets, and the reference implementation of COCO's metrics."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hardmine.trainers.metrics.coco_map import DetectedBoxes, GroundTruth

BORDERS_PX = np.array([0, 32.0**2, np.nextafter(32.0**2, 0), 96.0**2, 96.0**2 + 1e-6])


@pytest.fixture
def random_set():
  return make_random_set


@pytest.fixture
def pycocotools():
  return run_pycocotools


def make_random_set(seed, *, num_images=10, max_detections=20, tied=True, crowds=0.15):
  """Boxes near each other on integer and other places; the last category has none."""
  random = np.random.default_rng(seed)
  images = np.unique(random.integers(1, 2**40, num_images))
  categories = np.unique(random.integers(1, 91, 5))
  n = 5 * num_images
  boxes = np.where(
    random.random((n, 1)) < 0.5,
    random.integers(0, 40, (n, 4)),
    random.uniform(1, 150, (n, 4)),
  )
  areas = boxes[:, 2] * boxes[:, 3] * random.choice([1, 0.7], n)
  at_border = random.random(n) < 0.3
  areas[at_border] = random.choice(BORDERS_PX, at_border.sum())
  ground_truth = GroundTruth(
    image_ids=images,
    category_ids=categories,
    box_image_ids=random.choice(images[1:], n),  # the first image has no boxes
    box_category_ids=random.choice(categories[:-1], n),
    boxes_xywh_px=boxes,
    areas_px=areas,
    is_crowd=random.random(n) < crowds,
  )
  m = max_detections * num_images
  of = random.integers(0, n, m)
  shifts = random.normal(0, 3, (m, 4)) * (random.random((m, 1)) < 0.6)
  detected = boxes[of] + shifts
  detected[:, 2:] = np.maximum(detected[:, 2:], 0)
  detected[random.random(m) < 0.05, 2:] = 32
  right = random.random(m) < 0.8
  return ground_truth, DetectedBoxes(
    image_ids=np.where(right, ground_truth.box_image_ids[of], images[0]),
    category_ids=np.where(
      right, ground_truth.box_category_ids[of], random.choice(categories, m)
    ),
    boxes_xywh_px=detected,
    scores=random.random(m).round(1) if tied else random.permutation(m) / m,
  )


def run_pycocotools(ground_truth, detections, **params):
  """The reference's evaluator, done with accumulating."""
  truth, results = COCO(), COCO()
  for dataset, ids, columns in (
    (
      truth,
      (ground_truth.box_image_ids, ground_truth.box_category_ids),
      {"area": ground_truth.areas_px, "iscrowd": ground_truth.is_crowd},
    ),
    (
      results,
      (detections.image_ids, detections.category_ids),
      {"area": detections.boxes_xywh_px[:, 2:].prod(1), "score": detections.scores},
    ),
  ):
    boxes = (ground_truth if dataset is truth else detections).boxes_xywh_px
    columns = {"image_id": ids[0], "category_id": ids[1], "bbox": boxes, **columns}
    rows = zip(*(column.tolist() for column in columns.values()))
    dataset.dataset = {
      "images": [{"id": image} for image in ground_truth.image_ids.tolist()],
      "categories": [{"id": one} for one in ground_truth.category_ids.tolist()],
      "annotations": [
        {"id": number, **dict(zip(columns, row))} for number, row in enumerate(rows, 1)
      ],
    }
  with contextlib.redirect_stdout(io.StringIO()):
    truth.createIndex()
    results.createIndex()
    evaluator = COCOeval(truth, results, "bbox")
    for name, value in params.items():
      setattr(evaluator.params, name, value)
    evaluator.evaluate()
    evaluator.accumulate()
    if not params.keys() & {"iouThrs", "areaRng", "maxDets", "useCats"}:
      evaluator.summarize()
  return evaluator
