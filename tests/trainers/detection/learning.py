"""Two steps and a detection of every meta-architecture, to compare backends.

KERAS_BACKEND=jax python -m tests.trainers.detection.learning OUT.npz
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.geometry import suppression
from hardmine.trainers.detection.run_fn import compiled_detector
from tests.trainers.detection.seeing import seeing
from tests.trainers.detection.tiny_extractor import TinyExtractor
from tests.trainers.detection.tiny_two_stages import CONFIGS, SIZE, batch

ALL = {"ssd": SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)}
for _name, _config in CONFIGS.items():
  # No draws, which backends make otherwise: all are learned from.
  _all = {"batch_size": 10_000, "positive_share": 1.0}
  ALL[_name] = dataclasses.replace(
    _config, proposals=dataclasses.replace(_config.proposals, **_all), **_all
  )
# Anchors of two stages, so that no others overlap them as much: which of equals has an
# object, rounding decides, and each backend rounds as it likes.
TRUTH_YXYX_PX = np.array([[[32, 48, 64, 80]], [[16, 32, 80, 96]]], np.float32)
TRAINING = DetectorTrainingConfig(
  steps=2,
  summary_steps=1,
  batch_size=2,
  optimizer="momentum",
  learning_rate=1e-5,
  clip_norm=1.0,
)


def results() -> dict[str, np.ndarray]:
  """NumPy arrays by name."""
  found = {}
  for name, config in ALL.items():
    model = seeing(compiled_detector(config, 2, TRAINING))
    pixels, truth = batch(model)
    pixels, truth = np.asarray(pixels), {key: np.asarray(truth[key]) for key in truth}
    truth["boxes_yxyx_norm"] = TRUTH_YXYX_PX / np.array(SIZE * 2, np.float32)
    boxes, scores = map(np.asarray, model.raw_detections(pixels))
    found |= {f"{name} raw boxes": boxes, f"{name} raw scores": scores}
    seen = suppression.detections(boxes[0], scores[0], config.postprocessing)
    for field in ("boxes_yxyx_norm", "scores"):
      found[f"{name} {field}"] = getattr(seen, field)[:20]
    for step in range(TRAINING.steps):
      for part, value in model.train_on_batch(pixels, truth, return_dict=True).items():
        found[f"{name} {part} of step {step}"] = np.asarray(value)
  return found


if __name__ == "__main__":
  np.savez(sys.argv[1], **results())
