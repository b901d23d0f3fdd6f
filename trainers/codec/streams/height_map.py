"""How many iterations every position of a picture has, as the side chunk of its stream.

Where a picture is plain, few iterations show all of it (spatially adaptive bit rate,
Johnston et al. 2017, arXiv 1703.10114). A position of height h has bits in
the first h iterations and none behind them.

Heights are told position by position in the order of the bits, tile by tile, each as
the difference from what its neighbours in the tile let expect:

    expected = median(left, up, left + up - corner)      corner is that left of `up`
    unrest   = |left - corner| + |up - corner|           0, 1 to 2, or more

In a tile's first row all three are `left`, in its first column all are `up`, and of its
first position they are the number of iterations. Then answers tell the height: is it as
expected; if not, is it more, unless it cannot be less or more; and is it further yet,
step by step, until it is not or cannot be. Of each kind of answer (the first two by
unrest, the third by the steps up to four) it is counted how often there was a yes and
how often a no, from 1 and 1 on, by twos, and both are halved, rounded up, when their
sum is above 255. A yes is 65536 yes / (yes + no) likely, rounded down, from 2048 to
63488. The range coder of coded bits (`hardmine.trainers.codec.entropy.coding`) makes
words of these.

No answer is more than 31/32 likely, so bytes bound the positions that they can tell of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import constriction
import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.codec.streams.stream_header import Header, code_grid

# what whoever has only a SavedModel is told
NEEDS = (
  "a model that runs on onnxruntime or openvino for a height map; `hardmine models "
  "convert` adds what these need"
)
_ONE = 1 << 16
_LEAST = 1 << 11  # of 65536: how unlikely an answer can be
_MOST_PER_BYTE = 176  # positions: one is at least -log2(1 - _LEAST / _ONE) bits
_WORD = np.dtype("<u4")
_RESTLESS = 3  # from here on the neighbours differ much
_FURTHER = 4  # contexts of how far a height is from what was expected


class HeightMapError(ValueError):
  """A chunk that is none, in one line."""


def by_tile(header: Header, heights: np.ndarray) -> Iterator[np.ndarray]:
  """Views [rows, columns] of heights [positions], tile by tile."""
  begin = 0
  for rows, columns in header.tiles:
    height, width = code_grid(
      rows.stop - rows.start, columns.stop - columns.start, header.padding_px
    )
    yield heights[begin : begin + height * width].reshape(height, width)
    begin += height * width


def check_heights(header: Header, heights: np.ndarray) -> None:
  """Raises ValueError unless they are a map of a stream with such a header."""
  positions = header.tiles.num_positions(header.padding_px)
  require(
    heights.shape == (positions,) and heights.dtype == np.uint8,
    f"heights as uint8 [{positions}]",
    shape=heights.shape,
    dtype=str(heights.dtype),
  )
  require(
    int(heights.max()) == header.iterations,
    f"{header.iterations} iterations at the highest position, as many as are written",
    highest=int(heights.max()),
  )


def raw_sizes(header: Header, heights: np.ndarray | None) -> list[int]:
  """Bytes of every iteration's payload of raw bits; none is larger.

  Args:
    header: of a stream.
    heights: uint8 [positions], or None where every position has all iterations.
  """
  if heights is None:
    return [header.payload_bytes] * header.iterations
  position = header.code_depth // 8
  counts = np.bincount(heights, minlength=header.iterations + 1)
  higher = heights.size - np.cumsum(counts)
  return [
    header.num_gains + int(count) * position for count in higher[: header.iterations]
  ]


def pack_heights(header: Header, heights: np.ndarray) -> bytes:
  """The chunk's payload, equal for equal heights; see `check_heights`."""
  bits: list[int] = []
  chances: list[int] = []

  def note(bit: int | None, chance: int) -> int:
    assert bit is not None
    bits.append(bit)
    chances.append(chance)
    return bit

  teller = _Teller(header.iterations, note)
  for grid in by_tile(header, heights):
    teller.tile(grid.shape, grid.tolist())
  encoder = constriction.stream.queue.RangeEncoder()
  encoder.encode(
    np.array(bits, np.int32),
    constriction.stream.model.Bernoulli(perfect=False),
    np.array(chances) / float(_ONE),
  )
  return encoder.get_compressed().astype(_WORD).tobytes()


def unpack_heights(header: Header, payload: bytes) -> np.ndarray:
  """Inverts `pack_heights`: uint8 [positions].

  Raises:
    HeightMapError: it tells of something else; nothing was allocated and no time taken
      that the bytes themselves do not account for.
  """
  positions = header.tiles.num_positions(header.padding_px)
  whole = len(payload) % _WORD.itemsize == 0
  if not whole or positions > _MOST_PER_BYTE * len(payload):
    raise HeightMapError(
      f"Expected heights of {positions:,} positions. Received: {len(payload):,} bytes"
    )
  words = np.frombuffer(payload, _WORD).astype(np.uint32)
  decoder = constriction.stream.queue.RangeDecoder(words)

  def read(_: int | None, chance: int) -> int:
    model = constriction.stream.model.Bernoulli(chance / _ONE, perfect=False)
    return int(decoder.decode(model))  # pyright: ignore

  teller, heights = _Teller(header.iterations, read), np.empty(positions, np.uint8)
  try:
    for grid in by_tile(header, heights):
      grid[...] = teller.tile(grid.shape)
    check_heights(header, heights)
    again = pack_heights(header, heights)
  except (AssertionError, ValueError) as error:  # constriction has no type for it
    raise HeightMapError(
      f"Expected heights. Received: {str(error).partition(chr(10))[0]}"
    ) from error
  if again != payload:  # each thing is said in one way
    raise HeightMapError("Expected heights. Received: bytes behind them, or others")
  return heights


class _Teller:
  """Tells heights by answers, or hears them: the same walk and the same likelihoods."""

  def __init__(self, most: int, code: Callable[[int | None, int], int]):
    """Begins before the first tile.

    Args:
      most: the highest that there may be.
      code: is given an answer, or None, and how likely a yes is; gives the answer.
    """
    self._most, self._code = most, code
    self._counts = {name: [[1, 1] for _ in range(size)] for name, size in _KINDS}

  def tile(
    self, grid: tuple[int, ...], known: list[list[int]] | None = None
  ) -> list[list[int]]:
    """A tile's heights, by rows and columns; None has them heard."""
    rows, columns = grid
    found: list[list[int]] = []
    for row in range(rows):
      line: list[int] = []
      for column in range(columns):
        if row and column:
          around = line[-1], found[-1][column], found[-1][column - 1]
        else:
          around = (line[-1] if column else found[-1][0] if row else self._most,) * 3
        height = None if known is None else known[row][column]
        line.append(self._height(around, height))
      found.append(line)
    return found

  def _height(self, around: tuple[int, ...], height: int | None) -> int:
    left, up, corner = around
    expected = sorted((left, up, left + up - corner))[1]
    unrest = abs(left - corner) + abs(up - corner)
    kind = 0 if not unrest else 1 if unrest < _RESTLESS else 2
    if self._answer("equal", kind, None if height is None else height == expected):
      return expected
    if 0 < expected < self._most:
      is_more = self._answer(
        "more", kind, None if height is None else height > expected
      )
    else:
      is_more = not expected
    step = 1 if is_more else -1
    end = self._most if is_more else 0
    found = expected + step
    while found != end and self._answer(
      "further",
      min(abs(found - expected), _FURTHER) - 1,
      None if height is None else height != found,
    ):
      found += step
    return found

  def _answer(self, name: str, context: int, answer: bool | None) -> bool:
    counts = self._counts[name][context]
    chance = _ONE * counts[1] // (counts[0] + counts[1])
    chance = min(max(chance, _LEAST), _ONE - _LEAST)
    bit = self._code(None if answer is None else int(answer), chance)
    counts[bit] += 2
    if sum(counts) > _MOST_COUNTED:
      counts[:] = [(count + 1) // 2 for count in counts]
    return bool(bit)


_KINDS = (("equal", 3), ("more", 3), ("further", _FURTHER))
_MOST_COUNTED = 255
