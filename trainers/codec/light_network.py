"""A codec's network without TensorFlow: a graph a step, run once an iteration."""

from __future__ import annotations

import os

import numpy as np


class LightNetwork:
  """See `hardmine.trainers.codec.coding_network.CodingNetwork`."""

  def __init__(self, model_dir: str | os.PathLike, runtime: str):
    raise NotImplementedError

  def encode(self, image: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and gains."""
    raise NotImplementedError

  def decode(
    self, codes: np.ndarray, gains: np.ndarray, height_px: int, width_px: int
  ) -> np.ndarray:
    """The picture."""
    raise NotImplementedError

  def reconstruct(self, image: np.ndarray, iterations: int) -> np.ndarray:
    """The picture after every iteration."""
    raise NotImplementedError
