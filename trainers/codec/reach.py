"""How far one place of a picture or of its codes reaches, by iterations.

Measured on a small network of the same structure: what a NaN is put into, and all that
is computed from it, is NaN.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH, STRIDE_PX, CodecConfig
from hardmine.trainers.codec.model import RecurrentCodec

MEASURED = 3  # iterations; each further one adds what the last of them added
_SMALL_WIDTH = 1 / 16
_SIDE = 34  # code positions; a reach beyond them is none that tiles could cover
_ACROSS = 2


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
    dataclasses.replace(config, width=width, deep_width=None, clock=0, sent_gain=False)
  )


@functools.cache
def _measured(config: CodecConfig) -> dict[str, list[int] | None]:
  codec = RecurrentCodec(config, iterations=1)
  side = config.padding_px
  codec(np.zeros((1, side, side, 3), "float32"))
  encoding, decoding = [], []
  for axis in (0, 1):
    for position in (_SIDE // 2, _SIDE // 2 + 1):  # maps of half the size see pairs
      decoding.append(_decode_reaches(codec, axis, position))
      # the pixels of a block that reach furthest
      for offset in (0, STRIDE_PX - 1):
        encoding.append(_encode_reaches(codec, axis, position, offset))
  return {
    "encode_reach_px": _largest(encoding),
    "decode_reach_px": _largest(decoding),
  }


def _decode_reaches(codec: RecurrentCodec, axis: int, position: int) -> list[int]:
  """Of a code position along an axis: after each iteration."""
  grid = _grid(axis)
  codes = np.zeros((1, *grid, CODE_DEPTH), "float32")
  _along(codes, axis)[position] = np.nan
  zeros, states, reaches = np.zeros(1, "int32"), codec.decoder_states(1, *grid), []
  first, last = position * STRIDE_PX, (position + 1) * STRIDE_PX - 1
  for _ in range(MEASURED):
    states = codec.decode_step(codes, zeros, states)
    pixels = _reached(states[1], axis)
    reaches.append(_reach(pixels[0], pixels[-1], first, last, grid[axis] * STRIDE_PX))
    codes = np.zeros_like(codes)  # later ones reach less far
  return reaches


def _encode_reaches(
  codec: RecurrentCodec, axis: int, position: int, offset: int
) -> list[int]:
  """Of a pixel in a block along an axis: after each iteration, in whole blocks."""
  grid = _grid(axis)
  image = np.zeros((1, *(side * STRIDE_PX for side in grid), 3), "float32")
  _along(image, axis)[position * STRIDE_PX + offset] = np.nan
  zeros, reaches = np.zeros(1, "int32"), []
  states, decoder = codec.encoder_states(1, *grid), codec.decoder_states(1, *grid)
  for _ in range(MEASURED):
    values, _, states = codec.encoded_values(image, states, decoder)
    blocks = _reached(values, axis)
    reach = _reach(blocks[0], blocks[-1], position, position, grid[axis])
    reaches.append(reach * STRIDE_PX)
    # values, not bits: a bit forgets that it came from a NaN
    decoder = codec.decode_step(values, zeros, decoder)
  return reaches


def _grid(axis: int) -> tuple[int, int]:
  return (_SIDE, _ACROSS) if axis == 0 else (_ACROSS, _SIDE)


def _along(array: np.ndarray, axis: int) -> np.ndarray:
  """A view of [1, h, w, c] with one of its sides first."""
  return np.moveaxis(array, 1 + axis, 0)


def _reached(values: Any, axis: int) -> np.ndarray:
  """Positions along an axis that hold a NaN."""
  lost = np.isnan(_along(np.asarray(values), axis))
  return np.flatnonzero(lost.any(axis=(1, 2, 3)))


def _reach(low: int, high: int, first: int, last: int, end: int) -> int:
  """From first to low or last to high; -1 where either lies at the edge."""
  return -1 if low == 0 or high == end - 1 else int(max(first - low, high - last))


def _largest(reaches: list[list[int]]) -> list[int] | None:
  """By iteration; None where any is without end."""
  table = np.array(reaches)
  return None if (table < 0).any() else table.max(axis=0).tolist()
