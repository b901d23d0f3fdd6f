"""Choosing the hardest 100 tiles of a photograph, against the plain loop.

    HARDMINE_DATA=DIR .venv/bin/python benchmarks/mining.py

The plain loop is what one writes first: Pillow saves every tile as a PNG with
its default settings, and the longest files win. Both start from the same decoded
uint8 array and end with the chosen positions; decoding is timed in neither. Both
run in one thread and are timed in processor seconds, so that what else the machine
does counts for neither. Wanted: at least 8 times the tiles a second, and at least 99 %
of the same tiles.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from hardmine.components.patch_gen.hardest import hardest
from hardmine.components.patch_gen.tiling import cut

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HARDMINE_DATA", ROOT.parent / "shared" / "data"))
COUNT = 100
REPEATS = 3


def plain_loop(image: np.ndarray) -> np.ndarray:
  """Positions [100, 2] by Pillow's PNG size, hardest first."""
  grid = cut(image)
  sizes = []
  for i in range(grid.shape[0]):
    for j in range(grid.shape[1]):
      buffer = io.BytesIO()
      Image.fromarray(grid[i, j]).save(buffer, "PNG")
      sizes.append(buffer.tell())
  chosen = np.argsort(-np.array(sizes), kind="stable")[:COUNT]
  return np.stack(np.divmod(chosen, grid.shape[1]), axis=1) * 32


def timed(function, *arguments, repeats: int):
  """(result, processor seconds of the fastest of `repeats` calls)."""
  seconds = []
  result = None
  for _ in range(repeats):
    start = time.process_time()
    result = function(*arguments)
    seconds.append(time.process_time() - start)
  return result, min(seconds)


def main() -> int:
  """Prints a line for each photograph, then both sums and their ratio."""
  paths = sorted((DATA / "photos").glob("*.png"))
  if not paths:
    print(f"mining: no photographs under {DATA / 'photos'}; set HARDMINE_DATA")
    return 0
  print(f"{'photograph':>12} {'tiles':>6} {'plain us':>9} {'ours us':>8} {'agree':>6}")
  tiles, plain_seconds, our_seconds, agreements = 0, 0.0, 0.0, []
  for path in paths:
    image = np.asarray(Image.open(path).convert("RGB"))
    num_tiles = (image.shape[0] // 32) * (image.shape[1] // 32)
    expected, slow = timed(plain_loop, image, repeats=REPEATS)
    (positions, _), fast = timed(hardest, image, COUNT, repeats=REPEATS)
    both = set(map(tuple, expected.tolist())) & set(map(tuple, positions.tolist()))
    agreements.append(len(both) / len(expected))
    tiles, plain_seconds, our_seconds = (
      tiles + num_tiles,
      plain_seconds + slow,
      our_seconds + fast,
    )
    print(
      f"{path.stem[:12]:>12} {num_tiles:6} {slow / num_tiles * 1e6:9.1f} "
      f"{fast / num_tiles * 1e6:8.1f} {agreements[-1]:6.0%}"
    )
  ratio = plain_seconds / our_seconds
  mean = float(np.mean(agreements))
  print(f"plain loop  {tiles / plain_seconds:10,.0f} tiles/s/core")
  print(f"hardmine    {tiles / our_seconds:10,.0f} tiles/s/core  {ratio:.1f}x (>= 8)")
  print(f"agreement   mean {mean:.2%} (>= 99 %), min {min(agreements):.0%}")
  return 0 if ratio >= 8 and mean >= 0.99 else 1


if __name__ == "__main__":
  sys.exit(main())
