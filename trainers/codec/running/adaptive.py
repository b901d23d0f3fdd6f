"""As many iterations as each part of a picture is worth: spatially adaptive bit rate.

After Johnston et al. 2017 (arXiv 1703.10114), with a criterion of our own, as one
quality for all parts, like theirs, did worse where it was tried (`WORKSPACE.md`).

A first pass encodes everything to the last iteration and keeps, for every position b of
16x16 pixels and every t, how unlike the picture is there: e_b(t), MS-SSIM's errors
(`hardmine.trainers.metrics.block_errors`). A level l is a price of an iteration,

    h_b = the t that makes e_b(t) + price t least,      price = 2^-(3 + l / 4)

so that bits go where they raise MS-SSIM most, and a position's neighbours have at
least half as many iterations as it has, as in the paper. A second pass encodes with
these heights. Level 0 is one iteration everywhere. A size or a quality is met by trying
levels by halves; a quality by a file without a map where that is smaller.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.entropy.coder import EntropyCoder
from hardmine.trainers.codec.running.coding_network import CodingNetwork
from hardmine.trainers.codec.running.rate_control import (
  MAX_LEVEL,
  Compressed,
  Encoder,
  Target,
  require_one,
)
from hardmine.trainers.codec.running.tile_coding import encode_tiles
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.codec.streams.height_map import NEEDS
from hardmine.trainers.codec.streams.tiling import assemble
from hardmine.trainers.metrics.block_errors import BlockErrors
from hardmine.trainers.metrics.ms_ssim import MsSsim

_LEAST_SHARE = 2  # a position has at least one in so many of its neighbour's iterations


def heights_at(errors: np.ndarray, level: int) -> np.ndarray:
  """How many iterations every position of a tile gets.

  Args:
    errors: float32 [iterations, rows, columns], after each iteration.
    level: 0 to `MAX_LEVEL`.

  Returns:
    uint8 [rows, columns], 1 or more.
  """
  if not level:
    return np.ones(errors.shape[1:], np.uint8)
  price = np.float32(2.0 ** -(3 + level / 4))
  spent = price * np.arange(len(errors), dtype=np.float32)[:, None, None]
  return smoothed(1 + np.argmin(errors + spent, axis=0))


def smoothed(heights: np.ndarray) -> np.ndarray:
  """With no position below half of the highest of its eight neighbours, uint8."""
  rows, columns = heights.shape
  heights = heights.astype(int)  # of which there are negative ones
  while True:
    around = np.pad(heights, 1)
    highest = np.max(
      [around[y : y + rows, x : x + columns] for y in range(3) for x in range(3)],
      axis=0,
    )
    raised = np.maximum(heights, -(-highest // _LEAST_SHARE))
    if (raised == heights).all():
      return heights.astype(np.uint8)
    heights = raised


class AdaptiveEncoder:
  """One picture, to be encoded with a height map."""

  def __init__(
    self,
    network: CodingNetwork,
    coder: EntropyCoder | None,
    header: bitstream.Header,
    image: np.ndarray,
    side: Mapping[str, bytes],
  ):
    """See `hardmine.trainers.codec.running.rate_control.Encoder`.

    Raises:
      ValueError: the network takes no heights.
    """
    require(network.takes_heights, NEEDS, adaptive=True)
    self._network, self._coder, self._header = network, coder, header
    self._image, self._side = image, side

  def to(self, target: Target) -> Compressed:
    """The file that a target asks for; without any, the finest level's.

    Raises:
      ValueError: not even the coarsest level fits.
    """
    if target.ms_ssim is not None:
      return self._to_quality(target.ms_ssim)
    if target.is_of_size:
      return self._to_size(target)
    return self._coded(
      MAX_LEVEL if target.level is None else target.level,
      shown=target.level is not None,
    )

  def _to_quality(self, ms_ssim: float) -> Compressed:
    metric = MsSsim(self._image)

    def scored(level: int) -> Compressed:
      coded = self._coded(level, shown=True)
      assert coded.picture is not None
      score = metric.score(coded.picture)
      return dataclasses.replace(coded, ms_ssim=score, is_met=score >= ms_ssim)

    plain = Encoder(
      network=self._network,
      coder=self._coder,
      header=self._header,
      image=self._image,
      side=self._side,
    ).to(Target(ms_ssim=ms_ssim))
    below, level, found = -1, MAX_LEVEL, scored(MAX_LEVEL)
    while found.is_met and level - below > 1:
      middle = (below + level) // 2
      tried = scored(middle)
      if tried.is_met:
        found, level = tried, middle
      else:
        below = middle
    is_smaller = len(plain.data) < len(found.data)
    return plain if plain.is_met and (is_smaller or not found.is_met) else found

  def _to_size(self, target: Target) -> Compressed:
    header = self._header
    pixels = header.height_px * header.width_px

    def fits(coded: Compressed) -> bool:
      return target.fits(len(coded.data), pixels)

    found, level, beyond = self._coded(0), 0, MAX_LEVEL + 1
    require_one(int(fits(found)), len(found.data), target, header, self._side)
    while beyond - level > 1:
      middle = (level + beyond) // 2
      tried = self._coded(middle)
      if fits(tried):
        found, level = tried, middle
      else:
        beyond = middle
    return found

  def _parts(self) -> Iterator[np.ndarray]:
    for rows, columns in self._header.tiles:
      yield self._image[rows, columns]

  @functools.cached_property
  def _errors(self) -> list[np.ndarray]:
    """Of every tile, float32 [iterations, rows, columns]; the first pass."""
    found = []
    for part in self._parts():
      errors = BlockErrors(part, self._header.padding_px)
      steps = self._network.steps(part, self._header.iterations)
      found.append(np.stack([errors.of(picture) for _, _, picture in steps]))
    return found

  def _coded(self, level: int, *, shown: bool = False) -> Compressed:
    """The second pass; `shown` has it keep the picture."""
    heights = [heights_at(one, level) for one in self._errors]
    iterations = max(int(one.max()) for one in heights)
    header = dataclasses.replace(self._header, iterations=iterations)
    pictures: list[np.ndarray] = []
    if shown:
      tiles = self._shown(iterations, heights, pictures)
    else:
      tiles = encode_tiles(
        self._network, self._image, header.tiles, iterations, heights
      )
    data = bitstream.pack_tiles(
      header,
      tiles,
      self._side,
      self._coder,
      np.concatenate([one.ravel() for one in heights]),
    )
    return Compressed(
      data=data,
      iterations=iterations,
      level=level,
      picture=assemble(header.tiles, pictures) if shown else None,
    )

  def _shown(
    self, iterations: int, heights: list[np.ndarray], pictures: list[np.ndarray]
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `encode_tiles`; adds what each tile decodes to."""
    for part, of_tile in zip(self._parts(), heights):
      steps = self._network.steps(part, iterations, of_tile)
      pictures.append(part)  # until there is a better one
      codes, gains = zip(*((plane, gain) for plane, gain, pictures[-1] in steps))
      yield np.stack(codes), np.array(gains, np.uint8)
