"""A store in memory, and models that say who they are and wait when told to."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from hardmine.schemas.categories import Categories, Category
from hardmine.serving.server.loaded_model import LoadedModel
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.detection.detector import Detections

CATEGORIES = Categories(
  categories=(Category(id=3, name="red"), Category(id=90, name="blue"))
)
RECORD = {
  "digest": "d" * 64,
  "created_at": "2026-01-01T00:00:00+00:00",
  "num_bytes": 5,
  "experiment": {"name": "fake"},
  "metrics": {"ap": 0.5, "ap_small": float("nan")},
  "verdict": {"passed": True},
}


class FakeStore:
  """Aliases that move; what a version is, `load` decides."""

  def __init__(self, **aliases: int):
    self.moving = dict(aliases)
    self.fault: Exception | None = None
    self.num_polls = 0

  def aliases(self) -> dict[str, int]:
    self.num_polls += 1
    if self.fault is not None:
      raise self.fault
    return dict(self.moving)


class Gate:
  """Where models wait while it is shut."""

  def __init__(self):
    self._open = threading.Event()
    self._open.set()
    self.num_waiting = 0

  def shut(self) -> None:
    self._open.clear()

  def open(self) -> None:
    self._open.set()

  def pass_through(self) -> None:
    self.num_waiting += 1
    assert self._open.wait(30)
    self.num_waiting -= 1


class FakeDetector:
  """Finds one object, whose score and box are the version's number."""

  categories = CATEGORIES

  def __init__(self, number: int, gate: Gate):
    self.model_id = number.to_bytes(8, "big")
    self.number, self.gate, self.num_calls = number, gate, 0

  def detect(self, image: np.ndarray, min_score: float = 0.0) -> Detections:
    self.num_calls += 1
    before = self.number
    self.gate.pass_through()
    if (image == 0).all():
      raise OSError("the machine is on fire")
    return Detections(
      boxes_yxyx_px=np.array([[1, 2, 11, before]], np.float32),
      scores=np.array([self.number / 1000], np.float32),
      category_ids=np.array([90]),
    ).above(min_score)


class _Pixel:
  """A network that keeps the upper left pixel of a picture."""

  takes_heights = True

  def __init__(self, gate: Gate):
    self._gate = gate

  def encode(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    del heights
    self._gate.pass_through()
    height_px, width_px, _ = image.shape
    grid = bitstream.code_grid(height_px, width_px, 16)
    codes = np.zeros((iterations, *grid, 32), np.uint8)
    codes[0, 0, 0, :24] = np.unpackbits(image[0, 0])
    return codes, np.zeros(iterations, np.uint8)

  def decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    del gains, heights
    self._gate.pass_through()
    return np.tile(np.packbits(codes[0, 0, 0, :24]), (height_px, width_px, 1))


class FakeCodec(Codec):
  """Keeps of a picture its upper left pixel, in a stream like any other."""

  def __init__(self, number: int, gate: Gate):
    facts = {
      "model_id": number.to_bytes(8, "big").hex(),
      "config": {"width": 0.125, "reconstruction": "additive"},
      "iterations": 4,
    }
    super().__init__(_Pixel(gate), facts)  # pyright: ignore[reportArgumentType]


class Shelf:
  """What `load` gives: versions 1 to 99 detect, 100 to 199 compress, others fail."""

  def __init__(self):
    self.gate = Gate()
    self.models: dict[int, Any] = {}  # those that were loaded last
    self.attempts: list[int] = []
    self.loading = Gate()

  def load(self, store: Any, number: int) -> LoadedModel:
    self.attempts.append(number)
    self.loading.pass_through()
    if number >= 200:
      raise RuntimeError(f"variables.index of {number} is damaged")
    kind = "detector" if number < 100 else "codec"
    model = (FakeDetector if kind == "detector" else FakeCodec)(number, self.gate)
    self.models[number] = model
    return LoadedModel(
      number=number,
      kind=kind,
      model_id=model.model_id.hex(),
      record=dict(RECORD),
      runtime="onnxruntime",
      model=model,
    )
