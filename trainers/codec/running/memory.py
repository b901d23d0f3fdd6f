"""How much memory coding a picture takes, told before any of it is asked for.

It is what the process takes by itself, and what goes through the network at once, which
is a tile of a large picture (`tiling`), and the picture's own bytes: four a pixel while
Pillow holds it, three as an array, and what a file of it takes. Measured were peaks of
the resident size beyond that of a process which had used the model once, in bytes a
pixel of what goes through the network. TensorFlow 2.16 on two cores, pictures of 0.4
to 12 megapixels:

    cells, width         encode        decode 2 to 4    decode 16 iterations
    GRU 1/16             172 to 228    151 to 184       372
    GRU 1/4, deep 1/2    785           754              1630
    GRU 1/2              958 to 1060   917 to 1020      2939
    GRU 1                1985 to 2328  1766
    LSTM 1/16            219 to 229    177 to 201
    LSTM 1/4             811 to 919    898              1891

Decoding begins up to ten iterations at a time there, each of which holds its
beginnings. The light form runs one after the other, on ONNX Runtime 1.23, of pixels of
the largest tile; pieces that the allocator keeps between tiles of several sizes count:

    cells, width         one tile    encode 15 tiles    then decode them
    GRU 1/8                          362                471
    GRU 1/4              500         714                937
    GRU 3/8                          1038               1099

(LSTM was not measured there, and is taken to need more by the same share.)
"""

from __future__ import annotations

import dataclasses
import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import (
  has_light_form,
  read_facts,
  read_light_facts,
)
from hardmine.trainers.codec.streams import tiling
from hardmine.trainers.codec.streams.stream_header import Header
from hardmine.trainers.runtime.choice import TENSORFLOW, choose_runtime

# By whether the runtime is a light one: the process and the papers' whole network,
# before any picture.
_FIXED_BYTES = {False: 1_150_000_000, True: 200_000_000}
# At width 1, by the same and by whether cells are LSTM.
_BYTES_PER_PIXEL = {
  (False, False): 2450,
  (False, True): 3700,
  (True, False): 2700,
  (True, True): 4000,
}
_FORMS_BYTES = 80  # a pixel of what goes through the network, in its several forms
_PICTURE_BYTES = 14  # a pixel of the picture itself, while it is read or written
_DEEP_SHARE = 0.35  # of the network's, which the layers of `deep_width` hold
_AT_A_TIME = 10  # iterations, which take this much more together:
_MORE = 1.4
_FEWER = "decode fewer --iterations, "
_REMEDY = "give more memory, or try all the same with --ignore-memory"
_SMALLER = "shrink it first, as with `magick IN -resize 50% OUT.png`, "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
  """What coding with one model takes.

  Attributes:
    config: of the model's facts.
    light: it does not run on TensorFlow.
    decode_reach_px: as the light form's facts tell it; empty where nobody knows.
    splitting: which pictures are split into tiles.
  """

  config: Mapping[str, Any]
  light: bool
  decode_reach_px: tuple[int, ...] = ()
  splitting: tiling.Splitting = tiling.USUAL

  @classmethod
  def of(cls, model_dir: str | os.PathLike, runtime: str | None = None) -> Needs:
    """Of an exported codec.

    Args:
      model_dir: its folder.
      runtime: as `hardmine.trainers.runtime.choice.choose_runtime` takes it.
    """
    facts = read_light_facts(model_dir) if has_light_form(model_dir) else {}
    return cls(
      config=read_facts(model_dir, "codec").get("config", {}),
      light=choose_runtime(model_dir, runtime) != TENSORFLOW,
      decode_reach_px=tuple(facts.get("decode_reach_px") or ()),
    )

  @property
  def fixed_bytes(self) -> int:
    """Of the process with the model, before any picture."""
    return _FIXED_BYTES[self.light]

  def bytes_per_pixel(self, decoded: int = 0) -> int:
    """Of what goes through the network, by a little more than was ever measured.

    Args:
      decoded: iterations to decode; 0 encodes.
    """
    width = float(self.config.get("width", 1.0))
    deep = float(self.config.get("deep_width") or width)
    is_lstm = "lstm" in str(self.config.get("cell", "lstm")).lower()
    coding = _BYTES_PER_PIXEL[self.light, is_lstm] * (
      width + _DEEP_SHARE * (deep - width)
    )
    if not self.light:
      coding *= 1 + _MORE * min(decoded, _AT_A_TIME) / _AT_A_TIME
    return _FORMS_BYTES + round(coding)

  def encoding(self, height_px: int, width_px: int) -> int:
    """Bytes of a process that encodes one picture."""
    grid = tiling.Grid.over(height_px, width_px, self.splitting.of(height_px, width_px))
    sides_px = grid.rows.side_px, grid.columns.side_px
    return self._needed(height_px * width_px, *sides_px)

  def decoding(self, header: Header, iterations: int) -> int:
    """Bytes of a process that decodes the first iterations of a stream."""
    height_px, width_px = header.height_px, header.width_px
    window = self.window(header, iterations)
    sides_px = header.tiles.rows.side_px, header.tiles.columns.side_px
    if window is not None:
      sides_px = min(window.side_px, height_px), min(window.side_px, width_px)
    return self._needed(height_px * width_px, *sides_px, iterations)

  def window(self, header: Header, iterations: int) -> tiling.Window | None:
    """What is decoded at once of a large picture in one grid of codes, as of before.

    None where the stream is split, or small, or nobody knows how far codes reach: what
    the stream says is decoded at once.
    """
    reach_px = tiling.reach_px(self.decode_reach_px, iterations)
    split = self.splitting.of(header.height_px, header.width_px)
    if header.tiling is not None or split is None or reach_px is None:
      return None
    return tiling.Window(reach_px=reach_px, tile_px=split.tile_px)

  def max_pixels(self, available: int, decoded: int = 0) -> int:
    """The largest picture that can be coded in an amount of memory; 0 for none.

    Args:
      available: bytes, `fixed_bytes` among them.
      decoded: iterations to decode; 0 encodes.
    """
    left = available - self.fixed_bytes
    whole_px, coding = self.splitting.max_whole_px, self.bytes_per_pixel(decoded)
    if left < whole_px * (coding + _PICTURE_BYTES):
      return max(0, left // (coding + _PICTURE_BYTES))
    return (left - whole_px * coding) // _PICTURE_BYTES

  def check_decoding(self, header: Header, iterations: int) -> None:
    """Raises ValueError where a stream needs more memory than there is."""
    available = available_bytes()
    if available is None:
      return
    needed = self.decoding(header, iterations)
    require(
      needed <= available,
      f"about {needed / 1e9:.1f} GB of memory for {header.width_px}x"
      f"{header.height_px} pixels with this model; {_FEWER}{_REMEDY}",
      available=f"{available / 1e9:.1f} GB",
    )

  def too_large(self, available: int) -> str:
    """Why a picture of more than `max_pixels` is refused, and what to do."""
    pixels = self.max_pixels(available)
    return (
      f"the {available / 1e9:.1f} GB of memory that are available hold about "
      f"{pixels / 1e6:.1f} megapixels with this model; {_SMALLER}{_REMEDY}"
    )

  def _needed(
    self, picture_px: int, height_px: int, width_px: int, decoded: int = 0
  ) -> int:
    rows, columns = (-(-side // (2 * STRIDE_PX)) for side in (height_px, width_px))
    coded_px = rows * columns * (2 * STRIDE_PX) ** 2
    return (
      self.fixed_bytes
      + coded_px * self.bytes_per_pixel(decoded)
      + picture_px * _PICTURE_BYTES
    )


def available_bytes(root: str | os.PathLike = "/") -> int | None:
  """What this process may still take, None where the system does not say.

  The least of: what the machine has left, what each control group around the process
  has left (version 1 or 2, as in containers), and the limit on its address space.

  Args:
    root: below which `proc` and `sys` lie.
  """
  root = Path(root)
  found = [*_of_machine(root), *_of_groups(root)]
  limit, _ = resource.getrlimit(resource.RLIMIT_AS)
  if limit != resource.RLIM_INFINITY:
    (pages,) = _numbers(root / "proc/self/statm", "") or (0,)
    found.append(limit - pages * resource.getpagesize())
  return max(0, min(found)) if found else None


def _of_machine(root: Path) -> Iterable[int]:
  return (1024 * number for number in _numbers(root / "proc/meminfo", "MemAvailable:"))


def _of_groups(root: Path) -> Iterable[int]:
  try:
    lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
  except OSError:
    return
  for line in lines:
    _, kinds, path = line.split(":", 2)
    if kinds == "":  # version 2
      names, top = ("memory.max", "memory.current", "inactive_file "), "sys/fs/cgroup"
    elif "memory" in kinds.split(","):
      names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
      top = "sys/fs/cgroup/memory"
    else:
      continue
    inner = Path(path.lstrip("/"))
    for folder in (inner, *inner.parents):  # a limit counts for all below it
      yield from _left(root / top / folder, *names)


def _left(folder: Path, limit: str, usage: str, unused: str) -> Iterable[int]:
  """Of a control group; files that were read are given back when memory is short."""
  limits, used = _numbers(folder / limit, ""), _numbers(folder / usage, "")
  if limits and used:
    (cached,) = _numbers(folder / "memory.stat", unused) or (0,)
    yield limits[0] - used[0] + cached


def _numbers(path: Path, name: str) -> list[int]:
  """The number behind a name in a file of the system, if there is one."""
  try:
    lines = path.read_text("utf-8").splitlines()
  except OSError:
    return []
  words = (line[len(name) :].split() for line in lines if line.startswith(name))
  return [int(found[0]) for found in words if found and found[0].isdecimal()][:1]
