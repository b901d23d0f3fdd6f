"""The record of a mined patch.

    patch/pixels    bytes   side*side*3 raw uint8, rows from the top, RGB interleaved
    patch/source    bytes   UTF-8 id of the photograph: its path below the glob's root
    patch/row_px    int64   top edge in the (shrunk) photograph
    patch/column_px int64   left edge
    patch/score     int64   bytes of the patch's PNG encoding; larger is harder
    patch/reduction int64   by what the photograph was shrunk; absent where it is 1

Every training example can so be traced to its place in its photograph.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.example_wire import bytes_value, serialize_example
from hardmine.schemas.mining_config import PATCH_PX

PIXELS = "patch/pixels"
SOURCE = "patch/source"
ROW = "patch/row_px"
COLUMN = "patch/column_px"
SCORE = "patch/score"
REDUCTION = "patch/reduction"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
  """A square RGB tile and where it came from.

  Attributes:
    pixels: uint8 [side, side, 3].
    source: id of the photograph.
    row_px: top edge in the photograph after it was shrunk.
    column_px: left edge there.
    score: bytes of its PNG.
    reduction: one of `MiningConfig.reductions`.
  """

  pixels: np.ndarray
  source: str
  row_px: int
  column_px: int
  score: int
  reduction: int = 1


def to_example(patch: Patch) -> Any:
  """The `tf.train.Example` of a patch.

  Raises:
    ValueError: as `serialize` does.
  """
  import tensorflow as tf

  numbers = _checked_numbers(patch)
  example = tf.train.Example()
  feature = example.features.feature
  feature[PIXELS].bytes_list.value.append(patch.pixels.tobytes())
  feature[SOURCE].bytes_list.value.append(patch.source.encode("utf-8"))
  for key, value in numbers.items():
    feature[key].int64_list.value.append(value)
  return example


def serialize(patch: Patch) -> bytes:
  """`to_example(patch).SerializeToString(deterministic=True)`, without TensorFlow.

  Raises:
    ValueError: the pixels are not uint8 [side, side, 3], or a number is negative.
  """
  numbers = _checked_numbers(patch)
  return serialize_example(
    {
      PIXELS: [patch.pixels.tobytes()],
      SOURCE: [patch.source.encode("utf-8")],
      **{key: np.array([value]) for key, value in numbers.items()},
    }
  )


def from_example(serialized: bytes) -> Patch:
  """The inverse of `to_example(...).SerializeToString()`, outside any graph.

  Raises:
    ValueError: the pixels are not those of a square.
  """
  import tensorflow as tf

  feature = tf.train.Example.FromString(serialized).features.feature
  pixels = np.frombuffer(feature[PIXELS].bytes_list.value[0], np.uint8)
  side = math.isqrt(pixels.size // 3)
  require(
    pixels.size == 3 * side * side > 0,
    "3 bytes for each pixel of a square",
    num_bytes=pixels.size,
  )
  return Patch(
    pixels=pixels.reshape(side, side, 3),
    source=feature[SOURCE].bytes_list.value[0].decode("utf-8"),
    row_px=feature[ROW].int64_list.value[0],
    column_px=feature[COLUMN].int64_list.value[0],
    score=feature[SCORE].int64_list.value[0],
    reduction=feature[REDUCTION].int64_list.value[0] if REDUCTION in feature else 1,
  )


def source_of(serialized: bytes) -> str:
  """The source of a patch, without TensorFlow."""
  return bytes_value(serialized, SOURCE).decode("utf-8")


def parse_pixels(serialized: Any, patch_px: int = PATCH_PX) -> Any:
  """Inside `tf.data`: the pixels of many patches.

  Args:
    serialized: string [n] of Examples.
    patch_px: their side; patches of another raise TensorFlow's InvalidArgumentError.

  Returns:
    uint8 [n, patch_px, patch_px, 3].
  """
  import tensorflow as tf

  features = tf.io.parse_example(
    serialized, {PIXELS: tf.io.FixedLenFeature([], tf.string)}
  )
  # A `fixed_length` would cut larger patches, a first dimension of -1 would share
  # them out: both without a word.
  pixels = tf.io.decode_raw(features[PIXELS], tf.uint8)
  return tf.reshape(pixels, [tf.shape(serialized)[0], patch_px, patch_px, 3])


def _checked_numbers(patch: Patch) -> dict[str, int]:
  """The int64 features of a patch; of `reduction`, 1 goes without saying."""
  shape = patch.pixels.shape
  require(
    shape == (*shape[:1], *shape[:1], 3) and patch.pixels.dtype == np.uint8,
    "pixels as uint8 [side, side, 3]",
    shape=shape,
    dtype=str(patch.pixels.dtype),
  )
  numbers = {COLUMN: patch.column_px, ROW: patch.row_px, SCORE: patch.score}
  if patch.reduction != 1:
    numbers[REDUCTION] = patch.reduction
  require(min(numbers.values()) >= 0, "numbers that are not negative", **numbers)
  return numbers
