"""A decoder of coded bits in plain Python, written from docs/file_format.md alone.

It knows whole numbers and no library, so that what the page says is tried.
"""

from __future__ import annotations

_CLASSES = ((0, 4, 2, 4), (5, 3, 5, 3), (2, 4, 1, 4), (5, 3, 5, 3))
_WINDOW = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)]
_SQUARE = [(y, x) for y in range(-1, 2) for x in range(-1, 2)]


class RangeDecoder:
  """Bits of a message, given how likely a 1 is, in 65536ths."""

  def __init__(self, message: bytes):
    words = [message[at : at + 4] for at in range(0, len(message), 4)]
    self._words = iter([int.from_bytes(word, "little") for word in words])
    self._low, self._range = 0, 2**64 - 1
    self._point = next(self._words, 0) << 32 | next(self._words, 0)

  def bit(self, chance: int) -> int:
    step = self._range >> 24
    place = ((self._point - self._low) % 2**64) // step
    assert place < 2**24
    of_zero = (65536 - chance) * (2**24 - 2) // 65536 + 1
    bit = int(place >= of_zero)
    begin, share = (of_zero, 2**24 - of_zero) if bit else (0, of_zero)
    self._low = (self._low + step * begin) % 2**64
    self._range = step * share
    if self._range < 2**32:
      self._low = self._low << 32 & 2**64 - 1
      self._range <<= 32
      self._point = (self._point << 32 | next(self._words, 0)) & 2**64 - 1
    return bit


def decode_heights(message, grids, most):
  """Heights of all tiles, [tile][row][column].

  Args:
    message: the side chunk's payload.
    grids: rows and columns of every tile.
    most: iterations.
  """
  decoder, counts = RangeDecoder(message), {}

  def answer(*kind):
    no, yes = counts.get(kind, (1, 1))
    bit = decoder.bit(min(max(65536 * yes // (no + yes), 2048), 63488))
    no, yes = (no, yes + 2) if bit else (no + 2, yes)
    counts[kind] = ((no + 1) // 2, (yes + 1) // 2) if no + yes > 255 else (no, yes)
    return bit

  tiles = []
  for rows, columns in grids:
    heights = [[0] * columns for _ in range(rows)]
    tiles.append(heights)
    for row in range(rows):
      for column in range(columns):
        if row and column:
          left, up = heights[row][column - 1], heights[row - 1][column]
          corner = heights[row - 1][column - 1]
        elif row:
          left = up = corner = heights[row - 1][column]
        else:
          left = up = corner = heights[row][column - 1] if column else most
        expected = sorted([left, up, left + up - corner])[1]
        unrest = abs(left - corner) + abs(up - corner)
        kind = (unrest > 0) + (unrest > 2)
        found = expected
        if not answer("equal", kind):
          step = 1
          if expected == most or (expected > 0 and not answer("more", kind)):
            step = -1
          found += step
          end = most if step > 0 else 0
          while found != end and answer("further", min(abs(found - expected), 4)):
            found += step
        heights[row][column] = found
  return tiles


def decode(model, messages, raw, grid, gains, heights=None):
  """Signs -1 and +1, [iteration][row, column][channel], of a picture that is whole.

  Args:
    model: of lists: group, table, stages of bias, near, before, gains, within, out and
      the four numbers.
    messages: bytes of every iteration, without gains.
    raw: whether each is raw bits.
    grid: rows and columns.
    gains: of every iteration.
    heights: [row][column], where there is a height map.
  """
  rows, columns = grid
  planes = []
  for iteration, message in enumerate(messages):
    plane = {}
    planes.append(plane)
    if raw[iteration]:
      bits = iter(byte >> place & 1 for byte in message for place in range(7, -1, -1))
      for row in range(rows):
        for column in range(columns):
          if heights is None or heights[row][column] > iteration:
            plane[row, column] = [2 * next(bits) - 1 for _ in range(32)]
      continue
    decoder = RangeDecoder(message)
    for kind in range(6):
      places = [
        (row, column)
        for row in range(rows)
        for column in range(columns)
        if _CLASSES[row % 4][column % 4] == kind
        and (heights is None or heights[row][column] > iteration)
      ]
      for first in range(0, len(places), 4096):
        _block(model, planes, gains, kind, places[first : first + 4096], decoder)
  return planes


def _block(model, planes, gains, kind, places, decoder):
  iteration = len(planes) - 1
  stage, slot = _stage_of(model, iteration)
  start = {place: _start(stage, slot, planes, gains, kind, place) for place in places}
  group = model["group"]
  for channel in range(0, 32, group):
    for place in places:
      u = start[place]
      signs = planes[iteration].setdefault(place, [])
      new = [
        2 * decoder.bit(_chance(model, stage, u, one)) - 1
        for one in range(channel, channel + group)
      ]
      signs += new
      for one, sign in zip(range(channel, channel + group), new):
        start[place] = _add(start[place], stage["within"][one], sign)


def _stage_of(model, iteration):
  for stage in model["stages"]:
    if iteration < len(stage["bias"]):
      return stage, iteration
    iteration -= len(stage["bias"])
  return model["stages"][-1], len(model["stages"][-1]["bias"]) - 1


def _start(stage, slot, planes, gains, kind, place):
  iteration = len(planes) - 1
  u = stage["bias"][slot][kind]
  row, column = place
  for number, (y, x) in enumerate(_WINDOW):
    if _is_known(kind, place, (y, x)):
      signs = planes[iteration].get((row + y, column + x), [0] * 32)
      for channel, sign in enumerate(signs):
        u = _add(u, stage["near"][32 * number + channel], sign)
  seen = []
  if iteration:
    seen = [planes[iteration - 1].get((row + y, column + x)) for y, x in _SQUARE]
  seen += [planes[iteration - age].get(place) for age in (2, 3, 4) if age <= iteration]
  for number, signs in enumerate(seen):
    for channel, sign in enumerate(signs or []):
      u = _add(u, stage["before"][32 * number + channel], sign)
  for number, which in enumerate((iteration, max(0, iteration - 1), 0)):
    u = _add(u, stage["gains"][number], gains[which] - 32)
  return u


def _is_known(kind, place, step):
  row, column = place[0] + step[0], place[1] + step[1]
  return _CLASSES[row % 4][column % 4] < kind


def _chance(model, stage, u, channel):
  shift, top = stage["activation_shift"], stage["top"]
  half = 2**shift // 2
  total = u[len(u) - 32 + channel] * 2 ** stage["direct_shift"]
  for one, weights in zip(u, stage["out"]):
    total += min(max((one + half) // 2**shift, 0), top) * weights[channel]
  table = model["table"]
  place = total // 2 ** stage["index_shift"] + len(table) // 2
  return table[min(max(place, 0), len(table) - 1)]


def _add(u, weights, factor):
  return [one + factor * weight for one, weight in zip(u, weights)]
