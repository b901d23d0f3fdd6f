"""Writes the file of a compressed image, tile by tile or iteration by iteration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.entropy.coder import EntropyCoder
from hardmine.trainers.codec.streams.chunks import frame, side_number
from hardmine.trainers.codec.streams.height_map import pack_heights, raw_sizes
from hardmine.trainers.codec.streams.stream import MAX_GAIN, packed_bits
from hardmine.trainers.codec.streams.stream_header import (
  CONTEXT_NETWORK,
  HEIGHT_MAP,
  NO_ENTROPY_MODEL,
  RAW,
  Header,
  pack_header,
)


class Packing:
  """A picture's bits on their way into a file."""

  def __init__(
    self,
    header: Header,
    side: Mapping[str, bytes],
    coder: EntropyCoder | None,
    heights: np.ndarray | None = None,
  ):
    """See `hardmine.trainers.codec.streams.bitstream.pack_tiles`."""
    self._header = dataclasses.replace(
      header, entropy_level=RAW, entropy_id=NO_ENTROPY_MODEL, side=frozenset(side)
    )
    self._side, self._heights, self._coder = side, heights, coder
    self._coding = coder.encoding(header.iterations) if coder else None
    self._gains: list[list[bytes]] = [[] for _ in range(header.iterations)]
    self._bits: list[list[bytes]] = [[] for _ in range(header.iterations)]

  def add(
    self,
    codes: np.ndarray,
    gains: np.ndarray | None,
    higher: np.ndarray | None = None,
    first: int = 0,
  ) -> None:
    """Takes a tile's bits, of the iterations from the first on."""
    sent = np.zeros(len(codes), np.uint8)
    if self._header.sends_gains:
      sent = _checked_gains(gains, len(codes))
    for number in range(first, len(codes)):
      self._bits[number].append(packed_bits(codes[number], number, higher))
      if self._header.sends_gains:
        self._gains[number].append(sent[number].tobytes())
    if self._coding:
      self._coding.add(codes, sent, higher, first=first)

  def file(self, iterations: int) -> bytes:
    """Of the first iterations; of raw bits where coding gains nothing."""
    header = dataclasses.replace(self._header, iterations=iterations)
    before = [b"".join(one) for one in self._gains[:iterations]]
    raw = [start + b"".join(one) for start, one in zip(before, self._bits)]
    written = assembled(header, self._side, raw, self._heights)
    if self._coding is None or self._coder is None:
      return written
    header = dataclasses.replace(
      header, entropy_level=CONTEXT_NETWORK, entropy_id=self._coder.entropy_id
    )
    coded = [start + one for start, one in zip(before, self._coding.payloads())]
    payloads = [min(pair, key=len) for pair in zip(raw, coded)]
    return min(written, assembled(header, self._side, payloads, self._heights), key=len)


def assembled(
  header: Header,
  side: Mapping[str, bytes],
  payloads: Iterable[bytes],
  heights: np.ndarray | None,
) -> bytes:
  """The file of these payloads, as `bitstream.pack_tiles` takes the rest."""
  payloads = list(payloads)
  header, side = least(header, side, payloads, heights)
  head = pack_header(header)
  parts = [head]
  for name in header.side_in_order:
    most = header.max_side_bytes(name)
    require(
      len(side[name]) <= most, f"{name} of at most {most:,} bytes", size=len(side[name])
    )
    parts.append(frame(head, side_number(name), side[name]))
  parts += [frame(head, index, payload) for index, payload in enumerate(payloads)]
  return b"".join(parts)


def least(
  header: Header,
  side: Mapping[str, bytes],
  payloads: Iterable[bytes],
  heights: np.ndarray | None,
) -> tuple[Header, Mapping[str, bytes]]:
  """Header and side chunks; those of raw bits where all are raw after all."""
  raw = raw_sizes(header, heights)
  if header.is_coded and all(len(one) == size for one, size in zip(payloads, raw)):
    header = dataclasses.replace(header, entropy_level=RAW, entropy_id=NO_ENTROPY_MODEL)
  if heights is None:
    return header, side
  side = {HEIGHT_MAP: pack_heights(header, heights), **side}
  return dataclasses.replace(header, side=frozenset(side)), side


def check_codes(codes: np.ndarray, shape: tuple[int, ...]) -> None:
  """Raises ValueError unless they are uint8 {0, 1} of that shape."""
  require(
    codes.shape == shape and codes.dtype == np.uint8,
    f"codes as uint8 {list(shape)}",
    shape=codes.shape,
    dtype=str(codes.dtype),
  )
  require(codes.max() <= 1, "codes of 0 and 1", maximum=int(codes.max()))


def _checked_gains(gains: np.ndarray | None, iterations: int) -> np.ndarray:
  if gains is None or gains.shape != (iterations,) or gains.dtype != np.uint8:
    raise ValueError(
      f"Expected gains as uint8 [{iterations}]. Received: gains={gains!r}"
    )
  require(
    gains.max() <= MAX_GAIN, f"gains of 0 to {MAX_GAIN}", maximum=int(gains.max())
  )
  return gains
