"""Bits coded by what a context model says of them, by constriction's range coder.

Each iteration of a picture is one message: for every tile, class, block, group of
channels (`order`), the bits of all positions, the channels of one behind another. The
message is 32-bit words, little endian, of `constriction.stream.queue.RangeEncoder`,
which is given probabilities that are multiples of 2^-16, as 1 - p and p of 2^24 - 2
(rounded down) and one more for each, so that nothing depends on how anybody rounds.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import constriction
import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.entropy.coder import CodingError
from hardmine.trainers.codec.entropy.context_model import (
  ONE,
  ContextModel,
  find_entropy_model,
)
from hardmine.trainers.codec.entropy.contexts import Planes
from hardmine.trainers.codec.entropy.probabilities import Probabilities

_WORD = np.dtype("<u4")
_POSITION_BYTES = CODE_DEPTH // 8


class ContextCoder:
  """See `hardmine.trainers.codec.entropy.coder.EntropyCoder`; threads may share one."""

  def __init__(self, model: ContextModel):
    """Takes a model."""
    self.model = model
    self._probabilities = Probabilities(model)

  @property
  def entropy_id(self) -> bytes:
    """Of the model."""
    return self.model.entropy_id

  def encoding(self, iterations: int) -> ContextEncoding:
    """Begins with a picture."""
    return ContextEncoding(self._probabilities, iterations)

  def decoding(
    self, payloads: Sequence[bytes], raw_bytes: Sequence[int]
  ) -> ContextDecoding:
    """Begins with what `Encoding.payloads` gave."""
    return ContextDecoding(self._probabilities, payloads, raw_bytes)

  def cost_bits(self, codes: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """What the model estimates, float64 [iterations], in bits of a whole picture."""
    costs = np.zeros(len(codes))
    planes = Planes.of(codes)
    grid = (codes.shape[1], codes.shape[2])

    for number in range(len(codes)):

      def weigh(
        chances: np.ndarray, places: np.ndarray, channels: slice, number=number
      ):
        bits = planes.signs[number][places, channels] > 0
        share = np.where(bits, chances, ONE - chances.astype(np.int64)) / ONE
        costs[number] -= np.log2(share).sum()
        return bits

      self._probabilities.iteration(planes, grid, number, gains, weigh)
    return costs


class ContextEncoding:
  """See `hardmine.trainers.codec.entropy.coder.Encoding`."""

  def __init__(self, probabilities: Probabilities, iterations: int):
    """Begins with nothing."""
    self._probabilities = probabilities
    self._coders = [constriction.stream.queue.RangeEncoder() for _ in range(iterations)]

  def add(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    heights: np.ndarray | None = None,
    *,
    first: int = 0,
  ) -> None:
    """Codes a tile."""
    planes = Planes.of(codes, heights)
    grid = (codes.shape[1], codes.shape[2])
    for number in range(first, len(codes)):

      def code(chances, places, channels, number=number, coder=self._coders[number]):
        bits = planes.signs[number][places, channels] > 0
        coder.encode(bits.astype(np.int32).ravel(), _BIT, _shares(chances))
        return bits

      self._probabilities.iteration(planes, grid, number, gains, code, heights)

  def payloads(self) -> list[bytes]:
    """The coded bits of every iteration."""
    return [coder.get_compressed().astype(_WORD).tobytes() for coder in self._coders]


class ContextDecoding:
  """See `hardmine.trainers.codec.entropy.coder.Decoding`."""

  def __init__(
    self,
    probabilities: Probabilities,
    payloads: Sequence[bytes],
    raw_bytes: Sequence[int],
  ):
    """Begins before the first tile."""
    self._probabilities = probabilities
    self._sources = [
      io.BytesIO(one) if len(one) == size else _decoder(one)
      for one, size in zip(payloads, raw_bytes)
    ]

  def next(
    self,
    shape: tuple[int, int],
    gains: np.ndarray,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """The codes of the next tile."""
    planes = Planes.empty(len(self._sources), *shape)
    for number, source in enumerate(self._sources):
      if isinstance(source, io.BytesIO):
        there = np.ones(shape, bool) if heights is None else heights > number
        raw = source.read(np.count_nonzero(there) * _POSITION_BYTES)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8)).reshape(-1, CODE_DEPTH)
        planes.inner[number, there] = 2 * bits.astype(np.int8) - 1
        continue

      def code(chances, places, channels, source=source):
        try:
          bits = source.decode(_BIT, _shares(chances))
        except (AssertionError, ValueError) as error:  # constriction has no type for it
          raise CodingError(str(error).splitlines()[0]) from error
        return bits.reshape(chances.shape)

      self._probabilities.iteration(planes, shape, number, gains, code, heights)
    return (planes.inner > 0).astype(np.uint8)


def load_coder(model_dir: str | os.PathLike) -> ContextCoder | None:
  """That of an exported codec; None where it has no entropy model.

  Raises:
    ValueError: it has one that this version cannot read.
  """
  path = find_entropy_model(model_dir)
  return None if path is None else ContextCoder(ContextModel.load(path))


_BIT = constriction.stream.model.Bernoulli(perfect=False)


def _shares(chances: np.ndarray) -> np.ndarray:
  """float64 of whole 65536ths, which are exact."""
  return chances.ravel() / float(ONE)


def _decoder(payload: bytes) -> constriction.stream.queue.RangeDecoder:
  if len(payload) % _WORD.itemsize:
    raise CodingError(f"{len(payload)} bytes, which are no whole words of 4")
  words = np.frombuffer(payload, _WORD).astype(np.uint32)
  return constriction.stream.queue.RangeDecoder(words)
