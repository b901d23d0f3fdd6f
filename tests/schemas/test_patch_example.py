"""The record of a patch, of any side, and the schema it is held against."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas import patch_example
from hardmine.schemas.patch_example import Patch, from_example, serialize, to_example

SCHEMA = Path(patch_example.__file__).with_suffix(".pbtxt")


def patch(side=32, **changes):
  noise = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
  known = {"source": "a/b.png", "row_px": 32, "column_px": 0, "score": 2000}
  return Patch(pixels=noise, **(known | changes))


def keys(record):
  return set(tf.train.Example.FromString(record).features.feature)


def test_only_a_patch_of_a_shrunk_photograph_names_a_reduction():
  assert "patch/reduction" not in keys(serialize(patch()))
  assert keys(serialize(patch(reduction=2))) - keys(serialize(patch())) == {
    "patch/reduction"
  }
  assert from_example(serialize(patch())).reduction == 1
  assert from_example(serialize(patch(reduction=2))).reduction == 2


@pytest.mark.parametrize("side", [16, 32, 64, 256])
def test_the_side_is_told_by_the_number_of_bytes(side):
  back = from_example(serialize(patch(side)))
  np.testing.assert_array_equal(back.pixels, patch(side).pixels)


@pytest.mark.parametrize("num_bytes", [0, 3 * 32 * 32 - 1, 32 * 32, 3 * 32 * 64])
def test_bytes_that_are_no_square_of_pixels_are_refused(num_bytes):
  example = to_example(patch())
  example.features.feature["patch/pixels"].bytes_list.value[0] = bytes(num_bytes)
  with pytest.raises(ValueError, match=f"square. Received: num_bytes={num_bytes}"):
    from_example(example.SerializeToString())


@pytest.mark.parametrize("shape", [(32, 64, 3), (32, 32), (32, 32, 4), ()])
def test_pixels_that_are_no_square_are_not_written(shape):
  oblong = Patch(
    pixels=np.zeros(shape, np.uint8), source="a", row_px=0, column_px=0, score=9
  )
  for write in (serialize, to_example):
    with pytest.raises(ValueError, match=r"Received: shape="):
      write(oblong)


def anomalies(patches, tmp_path):
  import tensorflow_data_validation as tfdv

  path = str(tmp_path / "patches.tfrecord")
  with tf.io.TFRecordWriter(path) as writer:
    for one in patches:
      writer.write(serialize(one))
  statistics = tfdv.generate_statistics_from_tfrecord(path)
  schema = tfdv.load_schema_text(str(SCHEMA))
  return tfdv.validate_statistics(statistics, schema).anomaly_info


def test_the_schema_takes_patches_of_every_side_and_reduction(tmp_path):
  largest = patch(256, score=57 + 256 * 769 + 236)
  assert not anomalies([patch(), patch(64)], tmp_path)
  assert not anomalies([patch(), patch(64, reduction=2), largest], tmp_path)


def test_the_schema_refuses_what_no_mining_writes(tmp_path):
  assert set(anomalies([patch(score=2), patch()], tmp_path)) == {"patch/score"}
  assert set(anomalies([patch(score=10**6), patch()], tmp_path)) == {"patch/score"}
  found = anomalies([patch(reduction=0), patch(reduction=2)], tmp_path)
  assert set(found) == {"patch/reduction"}
