"""Seconds of each part of a detection, and the memory of the process that did it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# From a picture to boxes, in order; detectors of one stage have the first two and the
# last. Proposals are suppressed between the stages.
PREPARATION, FIRST_STAGE, PROPOSALS, SECOND_STAGE, POSTPROCESSING = PARTS = (
  "preparation",
  "first_stage",
  "proposals",
  "second_stage",
  "postprocessing",
)
NOISE_PX = 640  # side of the picture where there are no photographs
MOST_PHOTOGRAPHS = 8

Parts = dict[str, Callable[[Any], Any]]


def timed(
  request: dict[str, Any], make_parts: Callable[[dict[str, Any]], Parts]
) -> dict[str, Any]:
  """Runs all parts in turn, again and again.

  Args:
    request: `photographs`, paths; `repeats`, at most so many; `seconds`, after which
      no other one is begun; and what `make_parts` looks at.
    make_parts: gives the parts by name, each of which gets what the one before it
      gave; the first gets a picture, uint8 [side, side, 3].

  Returns:
    `seconds`, the median by part; `total_seconds`, the median of whole detections;
    `num_repeats`; `peak_bytes` of the process, and `idle_bytes` before a model was
    there.
  """
  idle_bytes = memory_bytes("VmRSS")
  pictures = square_pictures(request["photographs"])
  parts = make_parts(request)
  _once(parts, pictures[0])  # which also sets all up
  started, runs = time.perf_counter(), []
  while len(runs) < request["repeats"] and (
    not runs or time.perf_counter() - started < request["seconds"]
  ):
    runs.append(_once(parts, pictures[len(runs) % len(pictures)]))
  return {
    "seconds": {name: statistics.median(run[name] for run in runs) for name in parts},
    "total_seconds": statistics.median(sum(run.values()) for run in runs),
    "network_seconds": statistics.median(
      sum(run.values()) - run[POSTPROCESSING] for run in runs
    ),
    "num_repeats": len(runs),
    "peak_bytes": memory_bytes("VmHWM"),
    "idle_bytes": idle_bytes,
  }


def _once(parts: Parts, picture: np.ndarray) -> dict[str, float]:
  value: Any = picture
  seconds = {}
  for name, part in parts.items():
    started = time.perf_counter()
    value = part(value)
    seconds[name] = time.perf_counter() - started
  return seconds


def square_pictures(paths: Sequence[str]) -> list[np.ndarray]:
  """The middle squares of photographs, as the study cropped them; else noise."""
  if not paths:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (NOISE_PX // 40, NOISE_PX // 40, 3), np.uint8)
    return [coarse.repeat(40, axis=0).repeat(40, axis=1)]
  from hardmine.trainers.images import decode_rgb

  pictures = []
  for path in paths[:MOST_PHOTOGRAPHS]:
    pixels = decode_rgb(Path(path).read_bytes())
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pictures.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
  return pictures


def memory_bytes(name: str) -> int:
  """A number of this process's own, of `/proc/self/status`.

  Unlike `ru_maxrss`, which begins at what the process that started it had.
  """
  for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
    if line.startswith(f"{name}:"):
      return int(line.split()[1]) * 1024
  return 0
