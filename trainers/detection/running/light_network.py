"""A detector's network without TensorFlow: an ONNX graph, and NumPy around it."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.schemas.exported_model import light_graph, read_facts, read_light_facts
from hardmine.trainers.detection.geometry import suppression
from hardmine.trainers.detection.inputs.preparation import Prepared, prepare
from hardmine.trainers.runtime.choice import open_graph

GRAPH, PIXELS, BOXES, SCORES = "network", "pixels", "boxes_yxyx_norm", "scores"


class Surroundings:
  """What is done around the graphs of a detector, however many there are.

  Attributes:
    facts: of the light form.
  """

  def __init__(self, model_dir: str | os.PathLike):
    self.facts = read_light_facts(model_dir)
    categories = read_facts(model_dir, "detector")["categories"]
    self._category_ids = np.array([0, *(one["id"] for one in categories)], np.int64)
    self._preparation = Prepared.from_json(
      json.dumps({"preparation": self.facts["preparation"]})
    ).preparation
    self._postprocessing = PostprocessingConfig.from_json(
      json.dumps(self.facts["postprocessing"])
    )

  def prepared(self, image: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] to float32 [1, rows, columns, 3]."""
    require(image.size > 0, "an image with pixels", shape=image.shape)
    return prepare(image, self._preparation)[np.newaxis]

  def detections(
    self, image: np.ndarray, boxes_yxyx_norm: np.ndarray, scores: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes in an image's pixels, scores and categories, from what a network gives."""
    found = suppression.detections(boxes_yxyx_norm, scores, self._postprocessing)
    height, width = image.shape[:2]
    return (
      found.boxes_yxyx_norm * np.array([height, width, height, width], np.float32),
      found.scores,
      self._category_ids[found.labels],
    )


class LightNetwork:
  """See `hardmine.trainers.detection.running.detection_network.DetectionNetwork`.

  Several threads may ask one.
  """

  def __init__(
    self,
    model_dir: str | os.PathLike,
    runtime: str,
    num_threads: int | None = None,
  ):
    """Opens the light form of an exported detector.

    Args:
      model_dir: its folder.
      runtime: see `hardmine.trainers.runtime.choice.open_graph`.
      num_threads: likewise.
    """
    self._around = Surroundings(model_dir)
    self._shape = self._around.facts["graphs"][GRAPH]["inputs"][PIXELS]["shape"]
    model = light_graph(model_dir, GRAPH).read_bytes()
    # ONNX Runtime is a sixth faster where it knows the batch.
    self._one = open_graph(model, runtime, num_threads, {"batch": 1})
    self._open_any = functools.cache(lambda: open_graph(model, runtime, num_threads))

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    boxes, scores = self.raw(self._around.prepared(image))
    return self._around.detections(image, boxes[0], scores[0])

  def raw(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the graph gives, before suppression.

    Args:
      pixels: float32 of the shape that the facts say, in [0, 255].

    Returns:
      boxes_yxyx_norm [b, N, 4] or [b, N, C, 4], scores [b, N, C].

    Raises:
      ValueError: the network does not take that size or batch.
    """
    require_pixels(pixels, self._shape)
    graph = self._one if len(pixels) == 1 else self._open_any()
    found = graph.run({PIXELS: pixels})
    return found[BOXES].numpy(), found[SCORES].numpy()


def require_pixels(pixels: np.ndarray, shape: Sequence[int | str]) -> None:
  """Raises ValueError unless a network takes pixels.

  Args:
    pixels: of any type and shape.
    shape: sizes, or names of those that may be any.
  """
  fits = len(pixels.shape) == len(shape) and all(
    size > 0 and (isinstance(known, str) or size == known)
    for size, known in zip(pixels.shape, shape)
  )
  require(
    fits and pixels.dtype == np.float32,
    f"float32 pixels {shape}, as the network was exported; "
    "`Detector.detect` brings any picture to that",
    shape=pixels.shape,
    dtype=str(pixels.dtype),
  )
