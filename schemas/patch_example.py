"""The record of a mined patch.

    patch/pixels    bytes   32*32*3 raw uint8, rows from the top, RGB interleaved
    patch/source    bytes   UTF-8 id of the photograph: its path below the glob's root
    patch/row_px    int64   top edge in the (shrunk) photograph
    patch/column_px int64   left edge
    patch/score     int64   bytes of the patch's PNG encoding; larger is harder

Every training example can so be traced to its place in its photograph.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from schemas.config import require
from schemas.example_wire import serialize_example
from schemas.mining_config import PATCH_PX

PIXELS = "patch/pixels"
SOURCE = "patch/source"
ROW = "patch/row_px"
COLUMN = "patch/column_px"
SCORE = "patch/score"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
  """A 32x32 RGB tile and where it came from; `pixels` is uint8 [32, 32, 3]."""

  pixels: np.ndarray
  source: str
  row_px: int
  column_px: int
  score: int


def to_example(patch: Patch) -> Any:
  """The `tf.train.Example` of a patch.

  Raises:
    ValueError: the pixels are not uint8 [32, 32, 3].
  """
  import tensorflow as tf

  _require_pixels(patch)
  example = tf.train.Example()
  feature = example.features.feature
  feature[PIXELS].bytes_list.value.append(patch.pixels.tobytes())
  feature[SOURCE].bytes_list.value.append(patch.source.encode("utf-8"))
  feature[ROW].int64_list.value.append(patch.row_px)
  feature[COLUMN].int64_list.value.append(patch.column_px)
  feature[SCORE].int64_list.value.append(patch.score)
  return example


def serialize(patch: Patch) -> bytes:
  """`to_example(patch).SerializeToString(deterministic=True)`, without TensorFlow.

  Raises:
    ValueError: the pixels are not uint8 [32, 32, 3], or a number is negative.
  """
  _require_pixels(patch)
  numbers = {COLUMN: patch.column_px, ROW: patch.row_px, SCORE: patch.score}
  require(min(numbers.values()) >= 0, "numbers that are not negative", **numbers)
  return serialize_example(
    {
      PIXELS: [patch.pixels.tobytes()],
      SOURCE: [patch.source.encode("utf-8")],
      **{key: np.array([value]) for key, value in numbers.items()},
    }
  )


def from_example(serialized: bytes) -> Patch:
  """The inverse of `to_example(...).SerializeToString()`, outside any graph."""
  import tensorflow as tf

  feature = tf.train.Example.FromString(serialized).features.feature
  return Patch(
    pixels=np.frombuffer(feature[PIXELS].bytes_list.value[0], np.uint8).reshape(
      PATCH_PX, PATCH_PX, 3
    ),
    source=feature[SOURCE].bytes_list.value[0].decode("utf-8"),
    row_px=feature[ROW].int64_list.value[0],
    column_px=feature[COLUMN].int64_list.value[0],
    score=feature[SCORE].int64_list.value[0],
  )


def parse_pixels(serialized: Any) -> Any:
  """Inside `tf.data`: string [n] of Examples to uint8 [n, 32, 32, 3] pixels."""
  import tensorflow as tf

  features = tf.io.parse_example(
    serialized, {PIXELS: tf.io.FixedLenFeature([], tf.string)}
  )
  pixels = tf.io.decode_raw(
    features[PIXELS], tf.uint8, fixed_length=PATCH_PX * PATCH_PX * 3
  )
  return tf.reshape(pixels, [-1, PATCH_PX, PATCH_PX, 3])


def _require_pixels(patch: Patch) -> None:
  require(
    patch.pixels.shape == (PATCH_PX, PATCH_PX, 3) and patch.pixels.dtype == np.uint8,
    f"pixels as uint8 [{PATCH_PX}, {PATCH_PX}, 3]",
    shape=patch.pixels.shape,
    dtype=str(patch.pixels.dtype),
  )
