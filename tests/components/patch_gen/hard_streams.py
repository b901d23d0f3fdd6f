"""Filtered bytes and tiles on which deflate is at its worst."""

import numpy as np


def hard_streams(num_bytes, seed=0):
  """(name, uint8 [num_bytes]) of many kinds and entropies, all hard on deflate.

  Impulses waste whole bits on one frequent byte and fill the tables of codes with
  rare ones; few kinds of bytes make repeats everywhere, of which many cost more
  than they save; runs between rare bytes do both.
  """
  generator = np.random.default_rng(seed)

  def drawn(name, shares):
    return name, generator.choice(len(shares), num_bytes, p=shares).astype(np.uint8)

  for kinds in (2, 3, 4, 6, 8, 12, 32, 100, 180, 256):
    yield drawn(f"{kinds} kinds", np.full(kinds, 1 / kinds))
  for share in (0.03, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
    for kinds in (2, 15, 120, 255):
      shares = [1 - share, *[share / kinds] * kinds]
      yield drawn(f"impulses {share} of {kinds}", shares)
  for mean in (0.05, 0.2, 0.3, 0.5, 1, 2, 8, 16, 24, 32, 48):
    ratio = (np.sqrt(1 + mean * mean) - 1) / mean
    weights = ratio ** np.abs(np.arange(-128, 128))
    yield drawn(f"geometric {mean}", weights / weights.sum())
  for separators in (16, 250):
    for kinds in (1, 2, 4, 8):
      for share in (0.5, 0.7, 0.85, 0.95):
        for lengths in ((6, 7), (6, 9), (6, 14), (12, 30)):
          runs = _runs(generator, num_bytes, separators, kinds, share, lengths)
          yield f"runs {lengths} of {kinds} {share}, {separators} between", runs


def hard_tiles(patch_px, num_rows, num_columns, seed=0):
  """An image uint8 [height, width, 3] of whole tiles, each made of a hard stream."""
  generator = np.random.default_rng(seed)
  streams = [s for _, s in hard_streams(3 * patch_px * patch_px, seed)]
  chosen = generator.integers(len(streams), size=num_rows * num_columns)
  tiles = np.stack([streams[number] for number in chosen])
  # Undoes the filter Sub, so that the stream is what it leaves.
  shape = (num_rows, num_columns, patch_px, patch_px, 3)
  tiles = np.cumsum(tiles.reshape(shape), axis=3, dtype=np.uint8)
  return tiles.swapaxes(1, 2).reshape(num_rows * patch_px, num_columns * patch_px, 3)


def _runs(generator, num_bytes, separators, kinds, share, lengths):
  """Runs of few kinds of bytes, the first of them frequent, between rarer ones."""
  low, high = lengths
  num_runs = num_bytes // low + 1
  rest = [] if kinds == 1 else [(1 - share) / (kinds - 1)] * (kinds - 1)
  shares = np.array([share, *rest]) / (share + sum(rest))
  runs = generator.choice(kinds, (num_runs, high + 1), p=shares)
  ends = generator.integers(low, high + 1, num_runs)
  place = np.arange(high + 1)
  between = generator.integers(kinds, min(256, kinds + separators), num_runs)
  runs = np.where(place == ends[:, None], between[:, None], runs)
  return runs[place <= ends[:, None]].astype(np.uint8)[:num_bytes]
