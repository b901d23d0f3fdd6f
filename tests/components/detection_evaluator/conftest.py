"""Annotated images, and detectors that know what is in them."""

from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.coco_example import AnnotatedImage
from hardmine.trainers.detection.detector import Detections


def make_categories(num: int, step: int = 1) -> Categories:
  """With ids that leave gaps when `step` is above 1, as COCO's do."""
  return Categories(
    categories=tuple(
      Category(id=step * label, name=f"kind {label}") for label in range(1, num + 1)
    )
  )


def make_image(index: int, categories: Categories, num: int, crowds=0, name=None):
  """A picture of its own with `num` objects, the first `crowds` of them crowds."""
  rng = np.random.default_rng(index)
  height, width = int(rng.integers(150, 200)), int(rng.integers(160, 240))
  pixels = np.full((height, width, 3), rng.integers(60, 200, 3), np.uint8)
  corners = rng.uniform(0, 0.55, (num, 2))
  boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.4, (num, 2))], axis=1)
  labels = 1 + (index + np.arange(num)) % len(categories)
  for box, label in zip(boxes, labels):
    top, left, bottom, right = (box * [height, width, height, width]).astype(int)
    pixels[top:bottom, left:right] = (40 * label) % 256, (90 * label) % 256, 30
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, "PNG")
  sides = (boxes[:, 2:] - boxes[:, :2]) * (height, width)
  return AnnotatedImage(
    encoded=file.getvalue(),
    format="png",
    filename=name or f"pictures/{index}.png",
    source_id=str(1000 + index),
    sha256=hashlib.sha256(file.getvalue()).hexdigest(),
    height_px=height,
    width_px=width,
    boxes_yxyx_norm=boxes.astype(np.float32),
    labels=labels,
    names=tuple(categories.names[label - 1] for label in labels),
    is_crowd=np.arange(num) < crowds,
    areas_px=sides.prod(axis=1).astype(np.float32),
    category_ids=np.array(categories.ids)[labels - 1],
    annotation_ids=np.arange(num) + 100 * index,
  )


class FakeDetector:
  """Finds the true boxes of images that it was shown, with faults on demand.

  Args:
    images: that it knows.
    categories: of the data.
    share: of the objects that it finds.
    mistaken: share of those that it finds as the category before.
    false: detections of nothing per image.
    shift_px: of every box.
  """

  def __init__(self, images, categories, share=1.0, mistaken=0.0, false=0, shift_px=0):
    self.model_id = bytes([round(100 * share)] * 8)
    self.categories = categories
    self.known = {image.sha256: image for image in images}
    self.faults = share, mistaken, false, shift_px

  def detect(self, image: np.ndarray) -> Detections:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    truth = self.known[hashlib.sha256(file.getvalue()).hexdigest()]
    share, mistaken, false, shift_px = self.faults
    rng = np.random.default_rng(int(truth.source_id))
    sides = np.array(image.shape[:2] * 2, np.float32)
    kept = (rng.random(len(truth.labels)) < share) & (truth.is_crowd == 0)
    ids = truth.category_ids[kept]
    position = np.searchsorted(self.categories.ids, ids)
    wrong = rng.random(len(ids)) < mistaken
    ids = np.array(self.categories.ids)[position - wrong]
    boxes = truth.boxes_yxyx_norm[kept] * sides + shift_px
    noise = np.sort(rng.uniform(0, 100, (false, 2, 2)), axis=1).reshape(-1, 4)
    noise[:, 2:] += 1
    scores = np.concatenate(
      [rng.uniform(0.4, 1, len(ids)), rng.uniform(0.05, 0.6, false)]
    )
    order = np.argsort(-scores, kind="stable")
    noise_ids = rng.choice(self.categories.ids, false)
    return Detections(
      boxes_yxyx_px=np.concatenate([boxes, noise])[order].astype(np.float32),
      scores=scores[order].astype(np.float32),
      category_ids=np.concatenate([ids, noise_ids])[order].astype(np.int64),
    )


@pytest.fixture(scope="session")
def fakes():
  """The makers of this file."""
  return SimpleNamespace(
    categories=make_categories, image=make_image, Detector=FakeDetector
  )
