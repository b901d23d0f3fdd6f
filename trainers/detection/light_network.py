"""A detector's network without TensorFlow: an ONNX graph, and NumPy around it."""

from __future__ import annotations

import functools
import json
import os

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.schemas.exported_model import light_graph, read_facts, read_light_facts
from hardmine.trainers.detection import suppression
from hardmine.trainers.detection.preparation import Prepared, prepare
from hardmine.trainers.runtime.choice import open_graph

GRAPH, PIXELS, BOXES, SCORES = "network", "pixels", "boxes_yxyx_norm", "scores"


class LightNetwork:
  """See `hardmine.trainers.detection.detection_network.DetectionNetwork`.

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
    facts = read_light_facts(model_dir)
    categories = read_facts(model_dir, "detector")["categories"]
    self._category_ids = np.array([0, *(one["id"] for one in categories)], np.int64)
    self._shape = facts["graphs"][GRAPH]["inputs"][PIXELS]["shape"]
    self._preparation = Prepared.from_json(
      json.dumps({"preparation": facts["preparation"]})
    ).preparation
    self._postprocessing = PostprocessingConfig.from_json(
      json.dumps(facts["postprocessing"])
    )
    model = light_graph(model_dir, GRAPH).read_bytes()
    # ONNX Runtime is a sixth faster where it knows the batch.
    self._one = open_graph(model, runtime, num_threads, {"batch": 1})
    self._open_any = functools.cache(lambda: open_graph(model, runtime, num_threads))

  def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and categories."""
    require(image.size > 0, "an image with pixels", shape=image.shape)
    boxes, scores = self.raw(prepare(image, self._preparation)[np.newaxis])
    found = suppression.detections(boxes[0], scores[0], self._postprocessing)
    height, width = image.shape[:2]
    return (
      found.boxes_yxyx_norm * np.array([height, width, height, width], np.float32),
      found.scores,
      self._category_ids[found.labels],
    )

  def raw(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the graph gives, before suppression.

    Args:
      pixels: float32 of the shape that the facts say, in [0, 255].

    Returns:
      boxes_yxyx_norm [b, N, 4], scores [b, N, C].

    Raises:
      ValueError: the network does not take that size or batch.
    """
    fits = len(pixels.shape) == len(self._shape) and all(
      size > 0 and (isinstance(known, str) or size == known)
      for size, known in zip(pixels.shape, self._shape)
    )
    require(
      fits and pixels.dtype == np.float32,
      f"float32 pixels {self._shape}, as the network was exported; "
      "`Detector.detect` brings any picture to that",
      shape=pixels.shape,
      dtype=str(pixels.dtype),
    )
    graph = self._one if len(pixels) == 1 else self._open_any()
    found = graph.run({PIXELS: pixels})
    return found[BOXES].numpy(), found[SCORES].numpy()
