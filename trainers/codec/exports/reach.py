"""How far one place of a picture or of its codes reaches, by iterations.

Measured on a small network of the same structure: what a NaN is put into, and all that
is computed from it, is NaN.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX, CodecConfig
from hardmine.trainers.codec.network.model import RecurrentCodec

MEASURED = 3  # iterations; each further one adds what the last of them added
_SMALL_WIDTH = 1 / 16
_SIDE = 34  # code positions; a reach beyond them is none that tiles could cover
_ACROSS = 2
_PLACES = (_SIDE // 2, _SIDE // 2 + 1)  # maps of half the size see positions in pairs


def reach_facts(config: CodecConfig) -> dict[str, list[int] | None]:
  """Reaches after 1, 2 and 3 iterations, for the facts of a light form.

  Returns:
    `encode_reach_px`: codes follow from pixels that are at most this far outside their
    blocks, in whole blocks, sent gains being given. `decode_reach_px`: pixels follow
    from codes whose blocks are at most this far away. None where everything follows
    from everything.
  """
  width = min(config.width, _SMALL_WIDTH)
  return _measured(
    # a gain that is sent is no computation of the decoder's, and of the whole picture
    dataclasses.replace(
      config, width=width, deep_width=None, clock=0, own_weights=0, sent_gain=False
    )
  )


@functools.cache
def _measured(config: CodecConfig) -> dict[str, list[int] | None]:
  codec = RecurrentCodec(config, iterations=1)
  side = config.padding_px
  codec(np.zeros((1, side, side, 3), "float32"))
  encoding, decoding = [], []
  for axis in (0, 1):
    encoding += _encode_reaches(codec, axis)
    decoding += _decode_reaches(codec, axis)
  return {
    "encode_reach_px": _largest(encoding),
    "decode_reach_px": _largest(decoding),
  }


def _decode_reaches(codec: RecurrentCodec, axis: int) -> list[list[int]]:
  """Along an axis, of either of two code positions after each iteration."""
  grid, batch = _grid(axis), len(_PLACES)
  codes = np.zeros((batch, *grid, codec.config.code_depth), "float32")
  for number, place in enumerate(_PLACES):
    _along(codes[number], axis)[place] = np.nan
  zeros, states = np.zeros(batch, "int32"), codec.decoder_states(batch, *grid)
  reaches = []
  for t in range(MEASURED):
    states = codec.decode_iteration(codes, zeros, states, t)
    reaches.append(
      [
        _reach(pixels, place * STRIDE_PX, (place + 1) * STRIDE_PX - 1, STRIDE_PX)
        for pixels, place in zip(_reached(states[1], axis), _PLACES)
      ]
    )
    codes = np.zeros_like(codes)  # later ones reach less far
  return np.transpose(reaches).tolist()


def _encode_reaches(codec: RecurrentCodec, axis: int) -> list[list[int]]:
  """Along an axis, of pixels after each iteration, in whole blocks."""
  # of a block the pixels that reach furthest
  pixels = [
    place * STRIDE_PX + offset for place in _PLACES for offset in (0, STRIDE_PX - 1)
  ]
  grid, batch = _grid(axis), len(pixels)
  image = np.zeros((batch, *(side * STRIDE_PX for side in grid), 3), "float32")
  for number, pixel in enumerate(pixels):
    _along(image[number], axis)[pixel] = np.nan
  zeros, reaches = np.zeros(batch, "int32"), []
  states, decoder = (
    codec.encoder_states(batch, *grid),
    codec.decoder_states(batch, *grid),
  )
  for t in range(MEASURED):
    for _ in range(codec.config.extra_passes(t)):
      states = codec.prime_encoder(image, states, decoder)
    values, _, states = codec.encoded_values(image, states, decoder)
    reaches.append(
      [
        _reach(blocks, pixel // STRIDE_PX, pixel // STRIDE_PX, 1)
        for blocks, pixel in zip(_reached(values, axis), pixels)
      ]
    )
    # values, not bits: a bit forgets that it came from a NaN
    decoder = codec.decode_iteration(values, zeros, decoder, t)
  blocks = np.transpose(reaches)
  return np.where(blocks < 0, -1, blocks * STRIDE_PX).tolist()


def _grid(axis: int) -> tuple[int, int]:
  return (_SIDE, _ACROSS) if axis == 0 else (_ACROSS, _SIDE)


def _along(array: np.ndarray, axis: int) -> np.ndarray:
  """A view of [h, w, c] with one of its sides first."""
  return np.moveaxis(array, axis, 0)


def _reached(values: Any, axis: int) -> list[np.ndarray]:
  """Of each of a batch the positions along an axis that hold a NaN."""
  return [
    np.flatnonzero(np.isnan(_along(one, axis)).any(axis=(1, 2)))
    for one in np.asarray(values)
  ]


def _reach(positions: np.ndarray, first: int, last: int, of_block: int) -> int:
  """How far positions go beyond first and last; -1 if to where measuring ends."""
  low, high = positions[0], positions[-1]
  at_the_end = low == 0 or high == _SIDE * of_block - 1
  return -1 if at_the_end else int(max(first - low, high - last))


def _largest(reaches: list[list[int]]) -> list[int] | None:
  """By iteration; None where any is without end."""
  table = np.array(reaches)
  return None if (table < 0).any() else table.max(axis=0).tolist()
