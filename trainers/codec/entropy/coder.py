"""What a stream asks of whoever codes its bits, whatever model that has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class CodingError(ValueError):
  """Bytes that the model cannot have coded, in one line."""


class Encoding(Protocol):
  """One picture on its way to bytes, a tile at a time."""

  def add(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    heights: np.ndarray | None = None,
    *,
    first: int = 0,
  ) -> None:
    """Codes a tile behind those before it.

    Args:
      codes: uint8 {0, 1} [iterations, rows, columns, 32], all of them or the first.
      gains: uint8 [iterations], zeros where the model sends none.
      heights: uint8 [rows, columns], how many iterations each position has; None has
        all.
      first: of the iterations to be coded, from 0 on; those before only say what comes.
    """
    ...

  def payloads(self) -> list[bytes]:
    """The coded bits of every iteration, all tiles in order."""
    ...


class Decoding(Protocol):
  """One picture on its way back."""

  def next(
    self,
    shape: tuple[int, int],
    gains: np.ndarray,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """The codes of the next tile, as `Encoding.add` took them.

    Args:
      shape: rows and columns.
      gains: uint8 [iterations].
      heights: uint8 [rows, columns], likewise; bits that a position has not are 0.

    Raises:
      CodingError: the bytes are none of this model's.
    """
    ...


class EntropyCoder(Protocol):
  """A model that says how likely each bit is, and codes by it."""

  @property
  def entropy_id(self) -> bytes:
    """Eight bytes that name it in a stream."""
    ...

  def encoding(self, iterations: int) -> Encoding:
    """Begins with a picture."""
    ...

  def decoding(self, payloads: Sequence[bytes], raw_bytes: Sequence[int]) -> Decoding:
    """Begins with what `Encoding.payloads` gave.

    Args:
      payloads: of the first iterations; one of its `raw_bytes` is raw bits.
      raw_bytes: of every iteration's raw bits, of all tiles.
    """
    ...
