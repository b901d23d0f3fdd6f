"""The score of a tile: bytes of its PNG encoding, the same on every machine.

Scanlines are filtered as Pillow does by default (filter 3, Average, is never
tried) and deflated at a pinned level. Python's and Pillow's own zlib are
whatever the system has (zlib, zlib-ng, Chromium's), and those disagree about
the size; the `zlib-ng` package brings its own copy, so the version below decides.
Level 7 of zlib-ng chooses 99.8 of the same 100 tiles as Pillow over zlib (level 6
chooses 98.1, libdeflate's level 1 98.3 and its level 6 94.4, ISA-L's level 3 98.2;
nine photographs of 2048 px): with Z_FILTERED both drop matches of up to 5 bytes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.mining_config import PATCH_PX

ZLIB_NG_VERSION = "2.3.3"
LEVEL = 7
# Signature, IHDR, and the length, type and CRC of IDAT and IEND.
CONTAINER_BYTES = 8 + 25 + 12 + 12

_FILTER_NUMBERS = np.array([0, 2, 1, 4], np.uint8)  # in Pillow's order of trying
_CHUNK_PX = 64 * 32 * 32  # filtered at once: what they need stays in the CPU's cache


def score_definition(patch_px: int = PATCH_PX) -> dict[str, Any]:
  """What a score of tiles of this side is, for a manifest."""
  size = f"{patch_px}x{patch_px}"
  return {
    "unit": "bytes of the tile's PNG file",
    "png": f"{size}, 8-bit RGB, no interlace, one IDAT, no further chunk",
    "filter": (
      "per row the least sum of |signed byte| among None, Up, Sub, Paeth; the first "
      "of them wins a tie"
    ),
    "deflate": f"zlib-ng {ZLIB_NG_VERSION}, level {LEVEL}, Z_FILTERED, window 2^15",
  }


def filter_rows(tiles: np.ndarray) -> np.ndarray:
  """PNG's filtered scanlines of many tiles at once.

  Args:
    tiles: uint8 [num_tiles, side, side, 3].

  Returns:
    uint8 [num_tiles, side, 3 * side + 1]: per row the filter's number and the
    filtered bytes.
  """
  require(
    tiles.dtype == np.uint8
    and tiles.ndim == 4
    and tiles.shape[1:] == (tiles.shape[1], tiles.shape[1], 3),
    "uint8 tiles [num_tiles, side, side, 3]",
    shape=tiles.shape,
    dtype=str(tiles.dtype),
  )
  num_tiles, side = tiles.shape[:2]
  rows = tiles.reshape(num_tiles, side, 3 * side)
  filtered = np.empty((num_tiles, side, 3 * side + 1), np.uint8)
  step = max(1, _CHUNK_PX // side**2)
  for start in range(0, num_tiles, step):
    chunk = slice(start, start + step)
    filtered[chunk] = _filter_chunk(rows[chunk])
  return filtered


def png_size(filtered: np.ndarray) -> int:
  """Bytes of the PNG file whose scanlines `filter_rows` gave for one tile."""
  compressor = _zlib_ng().compressobj(LEVEL, 8, 15, 9, _zlib_ng().Z_FILTERED)
  return CONTAINER_BYTES + len(compressor.compress(filtered)) + len(compressor.flush())


def magnitudes(residuals: np.ndarray) -> np.ndarray:
  """Sum over the last axis of |signed byte|: uint8 [..., n] to int32 [...]."""
  absolute = np.abs(residuals.view(np.int8)).view(np.uint8)  # |-128| wraps to 128
  fits = residuals.shape[-1] <= 511  # 511 * 128 < 2^16, and short sums are fast
  sums = absolute.sum(-1, dtype=np.uint16 if fits else np.uint32)
  return sums.astype(np.int32)


def _filter_chunk(rows: np.ndarray) -> np.ndarray:
  left, up, corner = (np.zeros_like(rows) for _ in range(3))
  left[:, :, 3:] = rows[:, :, :-3]
  up[:, 1:] = rows[:, :-1]
  corner[:, 1:, 3:] = rows[:, :-1, :-3]
  candidates = [rows, rows - up, rows - left, rows - _paeth(left, up, corner)]
  choice = np.argmin(np.stack([magnitudes(c) for c in candidates]), axis=0)
  filtered = np.empty((*rows.shape[:2], rows.shape[2] + 1), np.uint8)
  filtered[:, :, 0] = _FILTER_NUMBERS[choice]
  for number, candidate in enumerate(candidates):
    chosen = choice == number
    filtered[chosen, 1:] = candidate[chosen]
  return filtered


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
  """Paeth's predictor without leaving uint8, which is several times faster.

  With d = up - corner and e = left - corner, the three distances are |d|, |e|
  and |d + e|. Of equal signs, |d + e| is the largest and `corner` never wins;
  of opposite signs it is the difference of the other two.
  """
  to_left = np.maximum(up, corner) - np.minimum(up, corner)
  to_up = np.maximum(left, corner) - np.minimum(left, corner)
  opposite = (up < corner) != (left < corner)
  to_corner = np.maximum(to_left, to_up) - np.minimum(to_left, to_up)
  to_corner = np.where(opposite, to_corner, np.uint8(255))
  take_left = (to_left <= to_up) & (to_left <= to_corner)
  return np.where(take_left, left, np.where(to_up <= to_corner, up, corner))


@functools.cache
def _zlib_ng() -> Any:
  from zlib_ng import zlib_ng

  if zlib_ng.ZLIBNG_RUNTIME_VERSION != ZLIB_NG_VERSION:
    raise RuntimeError(
      f"{zlib_ng.__file__} holds zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}, but scores "
      f"are defined by {ZLIB_NG_VERSION}: pip install zlib-ng==1.1.0"
    )
  return zlib_ng
