"""The record of an image with annotated objects.

The keys are those of TensorFlow's Object Detection API, so that its tools read
our files; `image/source` and the last two are ours. Lists hold one value per object.

    image/encoded               bytes   the file as it came, JPEG or PNG
    image/format                bytes   `jpeg` or `png`
    image/filename              bytes   its path below the images' folder
    image/source_id             bytes   the image's id, as its source numbers it
    image/source                int64   which source, from 0: with the id it is unique
    image/key/sha256            bytes   hex digest of `image/encoded`
    image/height, image/width   int64   pixels, as a viewer shows the image
    image/object/bbox/ymin ...  float   xmin, ymax, xmax: in [0, 1] of the image
    image/object/class/label    int64   1..C (schemas/categories.py)
    image/object/class/text     bytes   the category's name
    image/object/is_crowd       int64   1: a crowd, never to be found one by one
    image/object/area           float   pixels, of the segmentation where there is one
    image/object/category_id    int64   as the data set numbers it
    image/object/annotation_id  int64   as the data set numbers it; -1 - its place where
                                        it does not
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.example_wire import serialize_example

ENCODED = "image/encoded"
FORMAT = "image/format"
FILENAME = "image/filename"
SOURCE_ID = "image/source_id"
SOURCE = "image/source"
SHA256 = "image/key/sha256"
HEIGHT = "image/height"
WIDTH = "image/width"
YMIN = "image/object/bbox/ymin"
XMIN = "image/object/bbox/xmin"
YMAX = "image/object/bbox/ymax"
XMAX = "image/object/bbox/xmax"
LABEL = "image/object/class/label"
TEXT = "image/object/class/text"
IS_CROWD = "image/object/is_crowd"
AREA = "image/object/area"
CATEGORY_ID = "image/object/category_id"
ANNOTATION_ID = "image/object/annotation_id"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedImage:
  """An image file and its objects.

  Attributes:
    encoded: the whole file.
    format: `jpeg` or `png`.
    filename: its path below the images' folder.
    source_id: the image's id as its source numbers it, as text. Other sources may
      have the same one.
    sha256: hex digest of `encoded`.
    height_px: as a viewer shows it, EXIF orientation applied.
    width_px: likewise.
    boxes_yxyx_norm: float32 [n, 4], ymin, xmin, ymax, xmax in [0, 1].
    labels: int64 [n], 1..C.
    names: of the categories, n of them.
    is_crowd: int64 [n], 0 or 1.
    areas_px: float32 [n].
    category_ids: int64 [n].
    annotation_ids: int64 [n].
    source: which of its set's sources it is from; 0 in records that do not say.
  """

  encoded: bytes
  format: str
  filename: str
  source_id: str
  sha256: str
  height_px: int
  width_px: int
  boxes_yxyx_norm: np.ndarray
  labels: np.ndarray
  names: tuple[str, ...]
  is_crowd: np.ndarray
  areas_px: np.ndarray
  category_ids: np.ndarray
  annotation_ids: np.ndarray
  source: int = 0

  @property
  def key(self) -> str:
    """Unique within its set: the source and the id that this source gives."""
    return f"{self.source}/{self.source_id}"

  def __post_init__(self):
    num = len(self.labels)
    require(
      self.boxes_yxyx_norm.shape == (num, 4)
      and all(
        len(column) == num
        for column in (
          self.names,
          self.is_crowd,
          self.areas_px,
          self.category_ids,
          self.annotation_ids,
        )
      ),
      f"{num} objects in every column",
      source_id=self.source_id,
      boxes=self.boxes_yxyx_norm.shape,
    )


def serialize(image: AnnotatedImage) -> bytes:
  """The record, as a serialized `tf.train.Example`; needs no TensorFlow."""
  ymin, xmin, ymax, xmax = np.asarray(image.boxes_yxyx_norm, np.float32).T
  return serialize_example(
    {
      ENCODED: [image.encoded],
      FORMAT: [image.format.encode()],
      FILENAME: [image.filename.encode()],
      SOURCE_ID: [image.source_id.encode()],
      SOURCE: np.array([image.source]),
      SHA256: [image.sha256.encode()],
      HEIGHT: np.array([image.height_px]),
      WIDTH: np.array([image.width_px]),
      YMIN: ymin,
      XMIN: xmin,
      YMAX: ymax,
      XMAX: xmax,
      LABEL: np.asarray(image.labels, np.int64),
      TEXT: [name.encode() for name in image.names],
      IS_CROWD: np.asarray(image.is_crowd, np.int64),
      AREA: np.asarray(image.areas_px, np.float32),
      CATEGORY_ID: np.asarray(image.category_ids, np.int64),
      ANNOTATION_ID: np.asarray(image.annotation_ids, np.int64),
    }
  )


def from_example(serialized: bytes) -> AnnotatedImage:
  """The inverse of `serialize`, outside any graph."""
  import tensorflow as tf

  feature = tf.train.Example.FromString(serialized).features.feature

  def text(key: str) -> str:
    return feature[key].bytes_list.value[0].decode()

  def integers(key: str) -> np.ndarray:
    return np.array(feature[key].int64_list.value, np.int64)

  def floats(key: str) -> np.ndarray:
    return np.array(feature[key].float_list.value, np.float32)

  return AnnotatedImage(
    encoded=feature[ENCODED].bytes_list.value[0],
    format=text(FORMAT),
    filename=text(FILENAME),
    source_id=text(SOURCE_ID),
    sha256=text(SHA256),
    height_px=int(integers(HEIGHT)[0]),
    width_px=int(integers(WIDTH)[0]),
    boxes_yxyx_norm=np.stack([floats(key) for key in (YMIN, XMIN, YMAX, XMAX)], -1),
    labels=integers(LABEL),
    names=tuple(value.decode() for value in feature[TEXT].bytes_list.value),
    is_crowd=integers(IS_CROWD),
    areas_px=floats(AREA),
    category_ids=integers(CATEGORY_ID),
    annotation_ids=integers(ANNOTATION_ID),
    source=int(integers(SOURCE).sum()),  # none in those of before
  )


def parse(serialized: Any) -> dict[str, Any]:
  """Inside `tf.data`: one serialized Example to its tensors.

  Returns:
    `encoded`, `filename` and `source_id` string [], `boxes_yxyx_norm` float32 [n, 4],
    `labels` int64 [n], `is_crowd` int64 [n].
  """
  import tensorflow as tf

  ragged = tf.io.FixedLenSequenceFeature
  features = tf.io.parse_single_example(
    serialized,
    {
      ENCODED: tf.io.FixedLenFeature([], tf.string),
      FILENAME: tf.io.FixedLenFeature([], tf.string),
      SOURCE_ID: tf.io.FixedLenFeature([], tf.string),
      **{
        key: ragged([], tf.float32, allow_missing=True)
        for key in (YMIN, XMIN, YMAX, XMAX)
      },
      **{key: ragged([], tf.int64, allow_missing=True) for key in (LABEL, IS_CROWD)},
    },
  )
  return {
    "encoded": features[ENCODED],
    "filename": features[FILENAME],
    "source_id": features[SOURCE_ID],
    "boxes_yxyx_norm": tf.stack(
      [features[key] for key in (YMIN, XMIN, YMAX, XMAX)], axis=-1
    ),
    "labels": features[LABEL],
    "is_crowd": features[IS_CROWD],
  }
