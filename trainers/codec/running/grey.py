"""Pictures without colour stay so, which no network learns to the last level.

Where red, green and blue are equal in every pixel the stream says so, and whoever
decodes it makes them equal again, to their mean. That costs one bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hardmine.trainers.codec.running.coding_network import CodingNetwork


def is_grey(image: np.ndarray) -> bool:
  """Whether the channels of uint8 [h, w, 3] are equal everywhere."""
  return bool((image[..., 1:] == image[..., :1]).all())


def made_grey(picture: np.ndarray) -> np.ndarray:
  """uint8 [..., 3] with the mean of its channels in all three, rounded."""
  sums = picture.sum(-1, keepdims=True, dtype=np.uint16)
  return np.broadcast_to((2 * sums + 3) // 6, picture.shape).astype(np.uint8)


class GreyNetwork:
  """A network whose pictures are grey; see `CodingNetwork`. Its bits are the same."""

  def __init__(self, network: CodingNetwork):
    """Takes one of any kind."""
    self._network = network

  @property
  def takes_heights(self) -> bool:
    """Whether the network does."""
    return self._network.takes_heights

  @property
  def is_lazy(self) -> bool:
    """Whether the network is."""
    return self._network.is_lazy

  def encode(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Codes and gains."""
    return self._network.encode(image, iterations, heights)

  def decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """The picture."""
    return made_grey(self._network.decode(codes, gains, height_px, width_px, heights))

  def reconstruct(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> np.ndarray:
    """The picture after every iteration."""
    return made_grey(self._network.reconstruct(image, iterations, heights))

  def planes(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int]]:
    """Codes and gain of every iteration."""
    return self._network.planes(image, iterations, heights)

  def steps(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Codes, gain and picture of every iteration."""
    for codes, gain, picture in self._network.steps(image, iterations, heights):
      yield codes, gain, made_grey(picture)
