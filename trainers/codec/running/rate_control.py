"""How many iterations a picture gets: a number, a size of its file, or a quality.

Raw bits have a size that is known before anything is encoded, so nothing is encoded in
vain. Coded bits are weighed once they are there, as the file that they would give. In a
picture that is whole one iteration comes after the other, until the first that is too
much, or good enough. Of one of many tiles all states would have to be kept for that: so
many iterations as are likely to be enough are encoded for a size, and a quality is
looked for by halves.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.entropy.coder import EntropyCoder
from hardmine.trainers.codec.running import tile_coding
from hardmine.trainers.codec.running.coding_network import CodingNetwork
from hardmine.trainers.codec.streams import bitstream, rates
from hardmine.trainers.codec.streams.stream import Stream
from hardmine.trainers.metrics.ms_ssim import MsSsim

MAX_LEVEL = 40  # the finest one of `hardmine.trainers.codec.running.adaptive`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
  """Where an encoder stops; at most one of them, and as many as help without any.

  Attributes:
    iterations: exactly so many.
    bpp: bits per pixel that the file does not exceed, all that is in it counted.
    max_bytes: bytes that it does not exceed.
    ms_ssim: the first iteration that reaches it is the last.
    level: of a stream with a height map, 0 to `MAX_LEVEL`: how finely all is shown.
  """

  iterations: int | None = None
  bpp: float | None = None
  max_bytes: int | None = None
  ms_ssim: float | None = None
  level: int | None = None

  def __post_init__(self):
    given = {
      field.name: value
      for field in dataclasses.fields(self)
      if (value := getattr(self, field.name)) is not None
    }
    require(
      len(given) <= 1,
      f"only one of {', '.join(field.name for field in dataclasses.fields(self))}",
      **given,
    )
    most = bitstream.MAX_ITERATIONS
    for name, is_right, expected in (
      ("iterations", lambda n: 1 <= n <= most, f"1 to {most} iterations"),
      ("bpp", lambda x: math.isfinite(x) and x > 0, "a finite bpp > 0"),
      ("max_bytes", lambda n: n > 0, "1 byte or more"),
      ("ms_ssim", lambda x: 0 < x <= 1, "an MS-SSIM above 0, at most 1"),
      ("level", lambda n: 0 <= n <= MAX_LEVEL, f"a level of 0 to {MAX_LEVEL}"),
    ):
      if name in given:
        require(is_right(given[name]), expected, **{name: given[name]})

  def check(self, adaptive: bool) -> None:
    """Raises ValueError where it makes no sense with a height map, or without."""
    require(
      not adaptive or self.iterations is None,
      "bpp, max_bytes or ms_ssim beside adaptive, with which every part of a picture "
      "has its own number of iterations",
      iterations=self.iterations,
    )
    require(adaptive or self.level is None, "adaptive beside a level", level=self.level)

  @property
  def is_of_size(self) -> bool:
    """Whether the file's size decides."""
    return self.bpp is not None or self.max_bytes is not None

  def fits(self, num_bytes: int, pixels: int) -> bool:
    """Whether a file of so many bytes does not exceed the size."""
    if self.bpp is not None:
      return 8 * num_bytes <= self.bpp * pixels
    return num_bytes <= (self.max_bytes or 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compressed:
  """What an encoder came to.

  Attributes:
    data: the file.
    iterations: in it.
    ms_ssim: of the decoded picture, where it was the target.
    next_bytes: what the file would have with one iteration more, where that is known.
    is_met: the target was.
    level: of a stream with a height map, what the target came to.
    picture: uint8 [height, width, 3], its colours as they decode, where they are known.
  """

  data: bytes
  iterations: int
  ms_ssim: float | None = None
  next_bytes: int | None = None
  is_met: bool = True
  level: int | None = None
  picture: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder:
  """One picture, to be encoded.

  Attributes:
    network: that encodes it.
    coder: of its bits; None leaves them raw.
    header: of the stream; of its iterations, the most that there may be.
    image: uint8 [height, width, 3].
    side: payloads of side chunks by their names.
  """

  network: CodingNetwork
  coder: EntropyCoder | None
  header: bitstream.Header
  image: np.ndarray
  side: Mapping[str, bytes]

  def to(self, target: Target) -> Compressed:
    """The file that a target asks for.

    Raises:
      ValueError: not even one iteration fits.
    """
    if target.ms_ssim is not None:
      tiled = self.header.tiles.num_tiles > 1
      return (self._by_halves if tiled else self._by_steps)(target.ms_ssim)
    if target.is_of_size:
      return self._to_size(target)
    iterations = target.iterations or self.header.iterations
    return Compressed(data=self._encoded(iterations), iterations=iterations)

  def _to_size(self, target: Target) -> Compressed:
    header, side = self.header, self.side
    pixels = header.height_px * header.width_px
    raw = [
      rates.file_bytes(dataclasses.replace(header, iterations=count), side)
      for count in range(1, header.iterations + 1)
    ]
    fitting = sum(target.fits(size, pixels) for size in raw)
    if self.coder is None:
      require_one(fitting, raw[0], target, header, side)
      next_bytes = raw[fitting] if fitting < header.iterations else None
      data = self._encoded(fitting)
      return Compressed(data=data, iterations=fitting, next_bytes=next_bytes)
    data, iterations, next_bytes = b"", 0, None
    for larger in self._files(fitting):
      if not target.fits(len(larger), pixels):
        next_bytes = len(larger)
        break
      data, iterations = larger, iterations + 1
    require_one(iterations, next_bytes or 0, target, header, side)
    return Compressed(data=data, iterations=iterations, next_bytes=next_bytes)

  def _files(self, fitting: int) -> Iterator[bytes]:
    """Of 1, 2, ... iterations; `fitting` would fit with raw bits."""
    most, there = self.header.iterations, 0
    if self.network.is_lazy and self.header.tiles.num_tiles == 1:
      planes = self.network.planes(self.image, most)
      yield from bitstream.growing(self.header, planes, self.side, self.coder)
      return
    # Coding hardly ever halves the bits, so more than this is seldom worth encoding.
    for tried in dict.fromkeys((min(2 * fitting + 1, most), most)):
      data = self._encoded(tried)
      for iterations in range(there + 1, tried + 1):
        yield bitstream.cut(data, iterations)
      there = tried

  def _by_steps(self, ms_ssim: float) -> Compressed:
    metric, score = MsSsim(self.image), 0.0
    planes, gains = [], []
    for plane, gain, picture in self.network.steps(self.image, self.header.iterations):
      planes.append(plane)
      gains.append(gain)
      score = metric.score(picture)
      if score >= ms_ssim:
        break
    header = dataclasses.replace(self.header, iterations=len(planes))
    tile = np.stack(planes), np.array(gains, np.uint8)
    return Compressed(
      data=bitstream.pack_tiles(header, [tile], self.side, self.coder),
      iterations=len(planes),
      ms_ssim=score,
      is_met=score >= ms_ssim,
    )

  def _by_halves(self, ms_ssim: float) -> Compressed:
    most, metric = self.header.iterations, MsSsim(self.image)
    raw = bitstream.unpack(bitstream.pack_tiles(self.header, self._tiles(most)))

    def score(iterations: int) -> float:
      part = _beginning(raw, iterations)
      return metric.score(tile_coding.decode_tiles(self.network, part))

    below, reached, found = 0, most, score(most)
    if found >= ms_ssim:
      while reached - below > 1:
        middle = (below + reached) // 2
        middle_score = score(middle)
        if middle_score >= ms_ssim:
          reached, found = middle, middle_score
        else:
          below = middle
    part = _beginning(raw, reached)
    return Compressed(
      data=bitstream.pack_tiles(part.header, part.tiles(), self.side, self.coder),
      iterations=reached,
      ms_ssim=found,
      is_met=found >= ms_ssim,
    )

  def _encoded(self, iterations: int) -> bytes:
    header = dataclasses.replace(self.header, iterations=iterations)
    return bitstream.pack_tiles(header, self._tiles(iterations), self.side, self.coder)

  def _tiles(self, iterations: int):
    return tile_coding.encode_tiles(
      self.network, self.image, self.header.tiles, iterations
    )


def require_one(
  fitting: int,
  least: int,
  target: Target,
  header: bitstream.Header,
  side: Mapping[str, bytes],
) -> None:
  """Raises ValueError, naming the smallest file, unless an iteration fits a size."""
  with_side = "".join(
    f", with its {name.replace('_', ' ')} of {len(payload):,} bytes"
    for name, payload in side.items()
  )
  what = f"one iteration of a {header.width_px}x{header.height_px} image{with_side}"
  if target.bpp is not None:
    least_bpp = 8 * least / (header.height_px * header.width_px)
    require(
      fitting > 0, f"at least {least_bpp:.4g} bits per pixel, {what}", bpp=target.bpp
    )
  require(fitting > 0, f"at least {least:,} bytes, {what}", max_bytes=target.max_bytes)


def _beginning(stream: Stream, iterations: int) -> Stream:
  header = dataclasses.replace(stream.header, iterations=iterations)
  return dataclasses.replace(
    stream, header=header, payloads=stream.payloads[:iterations]
  )
