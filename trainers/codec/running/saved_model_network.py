"""A codec's network on TensorFlow, from the SavedModel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers import saved_model
from hardmine.trainers.codec.streams.height_map import NEEDS


class SavedModelNetwork:
  """See `hardmine.trainers.codec.running.coding_network.CodingNetwork`."""

  takes_heights = False
  is_lazy = False

  def __init__(self, model_dir: str | os.PathLike):
    self._module, _ = saved_model.load(model_dir, "codec")

  def encode(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Codes and gains."""
    _require_none(heights)
    answer = self._call("encode", image=image, iterations=np.int32(iterations))
    return answer["codes"], answer.get("gains", np.zeros(iterations, np.uint8))

  def decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """The picture."""
    _require_none(heights)
    # Only models that send gains have an input for them.
    inputs = self._module.signatures["decode"].structured_input_signature[1]
    return self._call(
      "decode",
      codes=codes,
      height=np.int32(height_px),
      width=np.int32(width_px),
      **({"gains": gains} if "gains" in inputs else {}),
    )["image"]

  def reconstruct(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> np.ndarray:
    """The picture after every iteration."""
    _require_none(heights)
    return self._call("reconstruct", image=image, iterations=np.int32(iterations))[
      "images"
    ]

  def planes(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int]]:
    """Codes and gain of every iteration; all of them are made at once."""
    codes, gains = self.encode(image, iterations, heights)
    yield from zip(codes, gains.tolist())

  def steps(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """The same, and the picture."""
    planes = self.planes(image, iterations, heights)
    pictures = self.reconstruct(image, iterations, heights)
    for (codes, gain), picture in zip(planes, pictures):
      yield codes, gain, picture

  def _call(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
    import tensorflow as tf

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {
      name: value.numpy()
      for name, value in self._module.signatures[signature](**tensors).items()
    }


def _require_none(heights: np.ndarray | None) -> None:
  require(heights is None, NEEDS, runtime="tensorflow")
