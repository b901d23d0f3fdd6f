"""Random boxes, and all pure functions on some of them, to compare backends.

KERAS_BACKEND=jax python -m tests.trainers.detection.geometry OUT.npz
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection.geometry import box_coder, boxes, matchers
from hardmine.trainers.detection.geometry.anchors import ssd_anchors, ssd_cells
from hardmine.trainers.detection.training import hard_examples, losses, targets

MAPS = [(5, 5), (3, 3), (2, 2), (1, 1)]


def config(**fields) -> SSDConfig:
  return SSDConfig(feature_extractor=object, **fields)


def random_boxes(rng: np.random.Generator, *shape: int, min_side=0.02) -> np.ndarray:
  """float32 [*shape, 4], yxyx inside [0, 1]."""
  corners = np.sort(rng.uniform(0, 1 - min_side, (*shape, 2, 2)), axis=-2)
  corners[..., 1, :] += min_side
  return corners.reshape(*shape, 4).astype("float32")


def results(compiled: Callable[[Callable], Callable] = lambda f: f) -> dict:
  """NumPy arrays by name, of a function that `compiled` may wrap."""
  rng = np.random.default_rng(0)
  shape = (3, len(ssd_anchors(MAPS, config())))
  found = compiled(compute)(
    random_boxes(rng, 3, 7),
    rng.integers(1, 5, (3, 7)) * (np.arange(7) < [[5], [7], [0]]),
    (np.arange(7) == [[1], [9], [9]]).astype("int64"),
    rng.normal(size=(*shape, 5)).astype("float32"),
    rng.normal(size=(*shape, 4)).astype("float32"),
  )
  return {name: np.asarray(value) for name, value in found.items()}


def compute(truth: Any, labels: Any, is_crowd: Any, logits: Any, codes: Any) -> dict:
  anchors, cells = ssd_anchors(MAPS, config()), ssd_cells(MAPS, config())
  iou = boxes.pairwise_iou(anchors, truth)
  found = {
    "iou": iou,
    "clipped": boxes.clip(anchors),
    "argmax": matchers.argmax_matches(iou, labels > 0),
    "thresholds": matchers.argmax_matches(iou, labels > 0, 0.4, 0.2, claims=False),
    "bipartite": matchers.bipartite_matches(iou, labels > 0),
    "worst": hard_examples.worst_distinct(
      truth, labels * 1.0, labels > 0, duplicate_iou=0.1, num=4
    ),
  }
  for coding in ("log", "corners", "sqrt"):
    found |= {
      f"{coding} codes": box_coder.encode(truth[:, :1], anchors, coding),
      f"{coding} boxes": box_coder.decode(codes, anchors, coding),
    }
  for fields in (
    {"matcher": "argmax", "classification": "sigmoid", "localization": "smooth_l1"},
    {"matcher": "bipartite", "classification": "softmax", "localization": "l2"},
    {"matcher": "center", "localization": "iou", "box_coding": "corners"},
    {"localization": "iou", "box_coding": "sqrt", "duplicate_iou": 0.5},
  ):
    name, settings = " ".join(map(str, fields.values())), config(**fields)
    goal = targets.assign(truth, labels, anchors, settings, is_crowd, cells)
    found |= {f"{name} {key}": value for key, value in goal._asdict().items()}
    found[f"{name} loss"], _ = losses.ssd_loss(logits, codes, goal, anchors, settings)
  return found


if __name__ == "__main__":
  import jax

  np.savez(sys.argv[1], **results(jax.jit))
