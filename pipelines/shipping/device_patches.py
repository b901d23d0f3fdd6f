"""Patches of photographs that lie in an accelerator's memory, drawn and turned there.

A training that takes ten minutes on a GPU wants some thousand patches a second. So all
photographs go there once, at every reduction, and each step sends where its patches
begin: a few hundred bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from hardmine.schemas.config import require

GRID_PX = 16  # between the places that patches may begin at, before jitter
WINDOW_PX = 64  # in which a place is judged
LARGE_PX = 1000  # a longer side makes a photograph a large one
LARGE_SHARE = 0.3  # of the patches, from large photographs; the others are rougher
REDUCTION_SHARES = {1: 0.55, 2: 0.37, 4: 0.08}
# Of the windows of a picture, the plainest that are never a patch's middle.
PLAIN_SHARES = {1: 0.4, 2: 0.15, 4: 0.15}


@dataclasses.dataclass(frozen=True)
class _Picture:
  pixels: np.ndarray  # uint8 [h, w, 3]
  middles: np.ndarray  # [n, 2], row and column, of what is worth looking at
  kind: tuple[int, bool]  # its reduction, and whether of a large photograph


class DevicePatches:
  """Photographs in memory, and where to look in them.

  Args:
    photographs: uint8 [h, w, 3].
    side_px: of the largest patches that will be drawn; smaller pictures are left out.
    seed: of the draws.

  Attributes:
    pixels: uint8 [n, 3] on the device, all pictures one behind the other.
    num_pictures: photographs times their reductions.

  Raises:
    ValueError: no photograph is large enough.
  """

  def __init__(self, photographs: Sequence[np.ndarray], side_px: int, seed: int = 0):
    pictures = [
      one for photograph in photographs for one in _reductions(photograph, side_px)
    ]
    require(
      pictures != [], f"photographs of {side_px} pixels a side", given=len(photographs)
    )
    sizes = np.array([one.pixels.shape[:2] for one in pictures], np.int32)
    areas = np.prod(sizes.astype(np.int64), 1)
    require(
      areas.sum() < 2**31,
      "photographs of 2,147 megapixels at most, with their reductions",
      pixels=int(areas.sum()),
    )
    self.num_pictures = len(pictures)
    self.pixels = jnp.asarray(
      np.concatenate([one.pixels.reshape(-1, 3) for one in pictures])
    )
    self._sizes = sizes
    self._starts = (np.cumsum(areas) - areas).astype(np.int32)
    self._owners = np.repeat(
      np.arange(len(pictures)), [len(p.middles) for p in pictures]
    )
    self._middles = np.concatenate([one.middles for one in pictures])
    self._ends = np.cumsum(_probabilities(pictures))
    self._rng = np.random.default_rng(seed)

  def draw(self, batch: int, side_px: int) -> tuple[np.ndarray, ...]:
    """Where patches begin in `pixels`, their pictures' widths, and turns of 0 to 7."""
    at = np.searchsorted(self._ends, self._rng.random(batch) * self._ends[-1])
    owners = self._owners[at]
    corners = self._middles[at] - side_px // 2
    corners += self._rng.integers(-GRID_PX, GRID_PX + 1, (batch, 2))
    rows, columns = np.clip(corners, 0, self._sizes[owners] - side_px).T
    widths = self._sizes[owners, 1]
    begins = (self._starts[owners] + rows * widths + columns).astype(np.int32)
    return begins, widths, self._rng.integers(0, 8, batch).astype(np.int32)


def cut(pixels: jax.Array, drawn: tuple[np.ndarray, ...], side_px: int) -> jax.Array:
  """What was drawn, in a compiled step: float32 [b, side, side, 3] in [-0.5, 0.5]."""
  begins, widths, turns = (jnp.asarray(one)[:, None, None] for one in drawn)
  rows, columns = jnp.arange(side_px)[None, :, None], jnp.arange(side_px)[None, None]
  patches = pixels[begins + rows * widths + columns].astype(jnp.float32) / 255.0 - 0.5
  turns = turns[..., None]
  patches = jnp.where(turns & 1, patches[:, ::-1], patches)
  patches = jnp.where(turns & 2, patches[:, :, ::-1], patches)
  return jnp.where(turns & 4, patches.transpose(0, 2, 1, 3), patches)


def _reductions(photograph: np.ndarray, side_px: int) -> list[_Picture]:
  """A photograph whole, halved and quartered, as far as patches fit."""
  large = max(photograph.shape) > LARGE_PX
  found = []
  for reduction, plain in PLAIN_SHARES.items():
    pixels = np.asarray(Image.fromarray(photograph).reduce(reduction))
    if min(pixels.shape[:2]) >= max(side_px, WINDOW_PX):
      found.append(_Picture(pixels, _busy_middles(pixels, plain), (reduction, large)))
  return found


def _busy_middles(pixels: np.ndarray, plain_share: float) -> np.ndarray:
  """The middles of windows whose neighbouring pixels differ most, [n, 2]."""
  grey = pixels.astype(np.float32).mean(-1)
  steps = np.zeros_like(grey)
  steps[:-1] += np.abs(np.diff(grey, axis=0))
  steps[:, :-1] += np.abs(np.diff(grey, axis=1))
  sums = np.pad(steps.cumsum(0, np.float64).cumsum(1), ((1, 0), (1, 0)))
  rows, columns = (np.arange(0, size - WINDOW_PX + 1, GRID_PX) for size in grey.shape)
  below, right = rows + WINDOW_PX, columns + WINDOW_PX
  busy = sums[below][:, right] - sums[rows][:, right]
  busy += sums[rows][:, columns] - sums[below][:, columns]
  row, column = np.nonzero(busy >= np.quantile(busy, plain_share))
  return np.stack([rows[row], columns[column]], 1) + WINDOW_PX // 2


def _probabilities(pictures: Sequence[_Picture]) -> np.ndarray:
  """Of every middle, not yet of sum 1 where a kind of picture is missing."""
  counts: dict[tuple[int, bool], int] = {}
  for one in pictures:
    counts[one.kind] = counts.get(one.kind, 0) + len(one.middles)
  shares = {True: LARGE_SHARE, False: 1 - LARGE_SHARE}
  return np.concatenate(
    [
      np.full(
        len(one.middles),
        REDUCTION_SHARES[one.kind[0]] * shares[one.kind[1]] / counts[one.kind],
      )
      for one in pictures
    ]
  )
