"""A codec's network as whoever runs it sees it, whatever runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from hardmine.trainers.runtime.choice import TENSORFLOW


class CodingNetwork(Protocol):
  """Codes pictures and tiles of pictures, each as if there were nothing around it.

  With heights, uint8 [rows, columns], a position has codes in so many iterations only.
  In further ones the decoder's network sees 0 there instead of -1 or +1, and the pixels
  stay as they are; the encoder sees what the decoder will have.
  A network that does not take heights raises ValueError.
  """

  @property
  def takes_heights(self) -> bool:
    """Whether the network can be told heights."""
    ...

  @property
  def is_lazy(self) -> bool:
    """Whether `planes` and `steps` compute an iteration when it is asked for."""
    ...

  def encode(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """The bits of uint8 [h, w, 3].

    Returns:
      Codes, uint8 [iterations, rows, columns, 32] of 0 and 1, and gains, uint8
      [iterations], zeros where the model sends none. Codes beyond heights mean nothing.
    """
    ...

  def decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """uint8 [height_px, width_px, 3] after all iterations of `codes`."""
    ...

  def reconstruct(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> np.ndarray:
    """uint8 [iterations, h, w, 3]: what decoding gives after every iteration."""
    ...

  def planes(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int]]:
    """The bits as `encode` gives them, one iteration after the other.

    If lazy, the decoder's network, which takes most of the time, runs behind an
    iteration only when the next one is asked for.

    Yields:
      Codes, uint8 [rows, columns, depth], and the gain.
    """
    ...

  def steps(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """The same, with the pictures.

    Yields:
      Codes and gain, as there, and what decoding gives after them, uint8 [h, w, 3].
    """
    ...


def open_network(
  model_dir: str | os.PathLike, runtime: str, num_threads: int | None = None
) -> CodingNetwork:
  """Loads the form of an exported codec that a runtime runs.

  Args:
    model_dir: its folder.
    runtime: of `hardmine.trainers.runtime.choice.choose_runtime`.
    num_threads: of one call; None takes the processors that this process may use.
      TensorFlow always does.
  """
  if runtime == TENSORFLOW:
    from hardmine.trainers.codec.running.saved_model_network import SavedModelNetwork

    return SavedModelNetwork(model_dir)
  from hardmine.trainers.codec.running.light_network import LightNetwork

  return LightNetwork(model_dir, runtime, num_threads)
