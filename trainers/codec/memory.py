"""How much memory coding a picture takes, told before any of it is asked for.

The whole picture goes through the network at once, so what it takes grows with its
pixels and with the network's width. Measured were peaks of the resident size beyond
that of a process which had used the model once, in bytes a pixel; TensorFlow 2.16 on
two cores, pictures of 0.4 to 12 megapixels:

    cells, width         encode        decode 2 to 4    decode 16 iterations
    GRU 1/16             172 to 228    151 to 184       372
    GRU 1/4, deep 1/2    785           754              1630
    GRU 1/2              958 to 1060   917 to 1020      2939
    GRU 1                1985 to 2328  1766
    LSTM 1/16            219 to 229    177 to 201
    LSTM 1/4             811 to 919    898              1891

Decoding begins up to ten iterations at a time, each of which holds its beginnings.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require

# TensorFlow and the papers' whole network, before any picture.
_FIXED_BYTES = 1_150_000_000
_BYTES_PER_PIXEL = {False: 2450, True: 3700}  # at width 1, by whether cells are LSTM
_PICTURE_BYTES = 80  # a pixel, of the picture itself in its several forms
_DEEP_SHARE = 0.35  # of that, which the layers of `deep_width` hold
_AT_A_TIME = 10  # iterations, which take this much more together:
_MORE = 1.4
_FEWER = "decode fewer --iterations, "
_REMEDY = "give more memory, or try all the same with --ignore-memory"
_SMALLER = "shrink it first, as with `magick IN -resize 50% OUT.png`, "


def bytes_per_pixel(config: Mapping[str, Any], decoded: int = 0) -> int:
  """What a codec's network takes, by a little more than was ever measured.

  Args:
    config: of the model's facts.
    decoded: iterations to decode; 0 encodes.
  """
  width = float(config.get("width", 1.0))
  deep = float(config.get("deep_width") or width)
  is_lstm = "lstm" in str(config.get("cell", "lstm")).lower()
  encoding = _BYTES_PER_PIXEL[is_lstm] * (width + _DEEP_SHARE * (deep - width))
  at_a_time = 1 + _MORE * min(decoded, _AT_A_TIME) / _AT_A_TIME
  return _PICTURE_BYTES + round(encoding * at_a_time)


def needed_bytes(
  config: Mapping[str, Any], height_px: int, width_px: int, decoded: int = 0
) -> int:
  """What encoding or decoding one picture takes, the process itself included.

  Args:
    config: of the model's facts.
    height_px: of the picture.
    width_px: likewise.
    decoded: iterations to decode; 0 encodes.
  """
  rows, columns = (-(-side // (2 * STRIDE_PX)) for side in (height_px, width_px))
  pixels = rows * columns * (2 * STRIDE_PX) ** 2
  return _FIXED_BYTES + pixels * bytes_per_pixel(config, decoded)


def max_pixels(config: Mapping[str, Any], available: int) -> int:
  """The largest picture that can be encoded in an amount of memory; 0 for none."""
  return max(0, (available - _FIXED_BYTES) // bytes_per_pixel(config))


def check(
  config: Mapping[str, Any], height_px: int, width_px: int, decoded: int = 0
) -> None:
  """Raises ValueError where a picture needs more memory than there is."""
  available = available_bytes()
  if available is None:
    return
  needed = needed_bytes(config, height_px, width_px, decoded)
  require(
    needed <= available,
    f"about {needed / 1e9:.1f} GB of memory for {width_px}x{height_px} pixels with "
    f"this model; {_FEWER if decoded else _SMALLER}{_REMEDY}",
    available=f"{available / 1e9:.1f} GB",
  )


def too_large(config: Mapping[str, Any], available: int) -> str:
  """Why a picture of more than `max_pixels` is refused, and what to do."""
  pixels = max_pixels(config, available)
  return (
    f"the {available / 1e9:.1f} GB of memory that are available hold about "
    f"{pixels / 1e6:.1f} megapixels with this model; {_SMALLER}{_REMEDY}"
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
