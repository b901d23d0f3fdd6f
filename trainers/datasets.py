"""Patch Examples to an endless, resumable stream of training batches."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from hardmine.schemas.config import require
from hardmine.schemas.patch_example import PATCH_PX, from_example, parse_pixels

SHUFFLE_BYTES = 65_536 * 32 * 32 * 3  # 200 MB of patches
CACHED_BYTES = 500_000 * 32 * 32 * 3  # 1.5 GB
WHOLE_BATCH = slice(None)


def matching_files(patterns: Iterable[str]) -> list[str]:
  """The files that a Trainer's patterns name, sorted."""
  return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


def read_patches(paths: Iterable[str | os.PathLike]) -> tf.data.Dataset:
  """uint8 patches of gzip TFRecords, in order of file name and place.

  They are [side, side, 3], as the first of them is; a set is mined at one size.
  """
  files = sorted(str(path) for path in paths)
  require(bool(files), "at least one TFRecord", paths=files)
  records = tf.data.TFRecordDataset(files, compression_type="GZIP")
  first: Any = next(iter(records.take(1).as_numpy_iterator()), None)
  side = PATCH_PX if first is None else len(from_example(first).pixels)
  return records.batch(1024).map(lambda batch: parse_pixels(batch, side)).unbatch()


def load_patches(paths: Iterable[str | os.PathLike]) -> np.ndarray:
  """All of `read_patches` in memory, uint8 [n, side, side, 3]."""
  return np.concatenate(list(read_patches(paths).batch(1024).as_numpy_iterator()))


def training_batches(
  patches: tf.data.Dataset,
  num_patches: int,
  batch_size: int,
  seed: int,
  first_step: int,
  rows: slice = WHOLE_BATCH,
) -> tf.data.Dataset:
  """Batches of images, the same from any step on, however often one resumes.

  Args:
    patches: uint8 [side, side, 3], finite.
    num_patches: how many those are; kept in memory after the first pass unless
      they are very many.
    batch_size: patches in a batch; batches run on over the end of a pass.
    seed: of the shuffles, a new one every pass.
    first_step: batches already consumed; they are drawn again and skipped.
    rows: of every batch.

  Returns:
    Endless float32 [batch_size, side, side, 3] in [-0.5, 0.5], of it the rows.
  """
  require(num_patches > 0, "at least one patch", num_patches=num_patches)
  patch_bytes = math.prod(side or PATCH_PX for side in patches.element_spec.shape)
  if num_patches * patch_bytes <= CACHED_BYTES:
    patches = patches.cache()
  shuffled = patches.shuffle(
    min(num_patches, SHUFFLE_BYTES // patch_bytes),
    seed=seed,
    reshuffle_each_iteration=True,
  )
  batches = shuffled.repeat().batch(batch_size, drop_remainder=True)
  batches = batches.skip(first_step).map(lambda batch: normalize(batch[rows]))
  return batches.prefetch(2)


def normalize(pixels: tf.Tensor) -> tf.Tensor:
  """uint8 to float32 in [-0.5, 0.5]."""
  return tf.cast(pixels, tf.float32) / 255.0 - 0.5
