"""Detectors of two stages small enough for tests, and what they are taught."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  ProposalConfig,
  RFCNConfig,
  Stretched,
)
from hardmine.trainers.images import decode_rgb
from tests.trainers.detection.rectangles import rectangle
from tests.trainers.detection.tiny_extractor import TinyExtractor

SIZE = (96, 128)
SHARED = {
  "feature_extractor": TinyExtractor,
  "resizer": Stretched(height_px=SIZE[0], width_px=SIZE[1]),
  "proposals": ProposalConfig(
    base_px=64.0, scales=(0.5, 1.0), depth=32, max_proposals=50
  ),
}
FASTER = FasterRCNNConfig(**SHARED)
BINNED = RFCNConfig(**SHARED, depth=32)
CONFIGS = {"faster_rcnn": FASTER, "rfcn": BINNED}


def batch(model, indices=(0, 1)):
  """Pixels and truth of some rectangles, as training sees them."""
  images = [rectangle(index) for index in indices]
  pixels = np.stack([decode_rgb(image.encoded) for image in images])
  truth = {
    "boxes_yxyx_norm": np.stack([image.boxes_yxyx_norm for image in images]),
    "labels": np.stack([image.labels for image in images]).astype(np.int32),
    "is_crowd": np.zeros((len(images), 1), np.int32),
    "index": np.arange(len(images)),
  }
  return (
    model.prepared(model.config, pixels),
    {name: tf.constant(value) for name, value in truth.items()},
  )


def losses(model, pixels, truth, training=True):
  """The loss and its parts, as Python numbers."""
  outputs = {**model(pixels, training=training), "training": training}
  total, parts = model.batch_loss(outputs, truth)
  return float(total), {name: float(value) for name, value in parts.items()}
