"""A data set to train on in seconds: one bright rectangle on a dark ground."""

from __future__ import annotations

import dataclasses
import hashlib
import io

import numpy as np
from PIL import Image

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.coco_example import AnnotatedImage

CATEGORIES = Categories(
  categories=(Category(id=3, name="red"), Category(id=90, name="blue"))
)


def rectangle(index: int, height_px: int = 60, width_px: int = 80) -> AnnotatedImage:
  """Image `index` of the set: noise, and a rectangle of one of two colours."""
  generator = np.random.default_rng(index)
  pixels = generator.integers(0, 60, (height_px, width_px, 3), np.uint8)
  label = 1 + index % 2
  top, left = (
    generator.integers(2, height_px // 3),
    generator.integers(2, width_px // 3),
  )
  bottom, right = top + generator.integers(20, 35), left + generator.integers(25, 45)
  pixels[top:bottom, left:right] = (230, 20, 20) if label == 1 else (20, 20, 230)
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG")
  box = np.array([[top, left, bottom, right]], np.float32)
  sides = np.array([height_px, width_px] * 2, np.float32)
  return AnnotatedImage(
    encoded=buffer.getvalue(),
    format="png",
    filename=f"{index}.png",
    source_id=f"image-{index}",
    sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
    height_px=height_px,
    width_px=width_px,
    boxes_yxyx_norm=box / sides,
    labels=np.array([label]),
    names=(CATEGORIES.names[label - 1],),
    is_crowd=np.array([0]),
    areas_px=np.array([(bottom - top) * (right - left)], np.float32),
    category_ids=np.array([CATEGORIES.ids[label - 1]]),
    annotation_ids=np.array([index]),
  )


def without_objects(image: AnnotatedImage) -> AnnotatedImage:
  """The same picture, of which nothing is said."""
  none = np.zeros(0, np.int64)
  return dataclasses.replace(
    image,
    boxes_yxyx_norm=np.zeros((0, 4), np.float32),
    areas_px=np.zeros(0, np.float32),
    names=(),
    labels=none,
    is_crowd=none,
    category_ids=none,
    annotation_ids=none,
  )
