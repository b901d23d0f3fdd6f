"""Upper bounds of a tile's PNG size, cheaper than deflating it.

Both are the entropy of the filtered bytes, or more, and what deflate may add to it.
"""

from __future__ import annotations

import numpy as np

from hardmine.components.patch_gen.scoring import CONTAINER_BYTES


def activity_bound(activity: np.ndarray, patch_px: int) -> np.ndarray:
  """Bytes that no tile of this activity exceeds.

  Of all distributions of whole numbers with mean magnitude m, the two-sided
  geometric one, p(k) = (1 - t) / (1 + t) * t^|k| with m = 2t / (1 - t^2), has
  the largest entropy: -log2 p(0) - m log2 t bits.

  Args:
    activity: number [num_tiles], at least the sum of |signed byte| that the chosen
      filters leave.
    patch_px: side of the tiles.

  Returns:
    float [num_tiles].
  """
  num_values = 3 * patch_px * patch_px
  num_bytes = num_values + patch_px
  mean = np.maximum(activity / num_values, 1e-3)
  ratio = (np.sqrt(1 + mean * mean) - 1) / mean
  bits = -np.log2((1 - ratio) / (1 + ratio)) - mean * np.log2(ratio)
  # A filter's number a row, of at most 2 bits, and telling those from the others.
  share = patch_px / num_bytes
  apart = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
  entropy = (num_values * bits + 2 * patch_px) / num_bytes + apart
  return _size(num_bytes, entropy)


def entropy_bound(filtered: np.ndarray) -> np.ndarray:
  """Bytes that no tile with these filtered rows exceeds.

  Args:
    filtered: uint8 [num_tiles, side, 3 * side + 1], from `filter_rows`.

  Returns:
    float [num_tiles].
  """
  streams = filtered.reshape(len(filtered), -1)
  num_bytes = streams.shape[1]
  counts = np.empty((len(streams), 256))
  for row, stream in zip(counts, streams):
    row[:] = np.bincount(stream, minlength=256)
  bits = -(counts * np.log2(np.maximum(counts, 1) / num_bytes)).sum(1)
  return _size(num_bytes, bits / num_bytes)


def _size(num_bytes: int, entropy: np.ndarray) -> np.ndarray:
  """Bytes that no PNG whose stream has this entropy (bits a byte) exceeds.

  Deflate adds tables of its codes, anew every 32,767 symbols; what whole bits waste;
  and repeats that cost more than the bytes they stand for. The latter two are the
  worse the fewer bits a byte takes. The numbers are measured on streams made to be
  hard on deflate, of sides 16 to 256, which keep 0.05 bits a byte from the bound or
  more (test_bounds.py). Photographs keep more: 30,000 tiles of 32x32 pixels
  needed 179 bytes beyond their entropy at most.

  It rises with the entropy, so that of an entropy no tile exceeds is a bound too.
  """
  short = 224  # in bytes, up to the length of a tile of 32x32 pixels
  longer = max(0, num_bytes - 3104) * np.clip(0.25 * (7.1 - entropy), 0.15, 0.58)
  smooth = num_bytes * np.clip(0.3 * (4.6 - entropy), 0, 0.6)
  return CONTAINER_BYTES + short + (num_bytes * entropy + longer + smooth) / 8
