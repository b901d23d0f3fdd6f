"""Where a checkpoint may lie, and what is told where it does not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.folders import folder
from hardmine.trainers.detection.tf1_checkpoints.reading import is_checkpoint, opened
from tests.trainers.detection.tf1_checkpoints.writing import write

VALUES = {"a/weights": np.arange(3.0, dtype="float32"), "global_step": np.int64(5)}


def read(source):
  with opened(str(source)) as checkpoint:
    assert checkpoint.shapes == {"a/weights": (3,)}
    assert checkpoint.ignored == {"global_step": 1}
    return checkpoint.get("a/weights").tolist()


@pytest.fixture
def place(tmp_path):
  """A folder with one checkpoint, and what else lies in such folders."""
  place = tmp_path / "place"
  place.mkdir()
  write(place / "model.ckpt-5", VALUES)
  (place / "checkpoint").write_text('model_checkpoint_path: "/gone/model.ckpt-5"\n')
  (place / "model.ckpt-5.meta").write_text("graph")
  return place


def test_a_prefix_and_a_folder(place, monkeypatch):
  for source in (place, place / "model.ckpt-5", f"{place}/"):
    assert is_checkpoint(str(source))
    assert read(source) == [0, 1, 2]
  monkeypatch.chdir(place)
  assert read("model.ckpt-5") == [0, 1, 2]


def test_a_bucket(place, tmp_path):
  bucket = folder(f"memory://bucket{place}")
  for path in place.iterdir():
    bucket.write(path.name, path.read_bytes())
  shutil.make_archive(str(tmp_path / "packed"), "gztar", place)
  bucket.write("packed.tar.gz", (tmp_path / "packed.tar.gz").read_bytes())
  for name in ("", "/model.ckpt-5", "/packed.tar.gz"):
    assert is_checkpoint(bucket.url + name)
    assert read(bucket.url + name) == [0, 1, 2]
  assert not is_checkpoint(f"{bucket.url}/nothing")


def test_a_file_of_the_first_format(tmp_path):
  """As slim's classifiers of 2016 are: one file without an index."""
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variable = tf.compat.v1.get_variable("a/weights", initializer=VALUES["a/weights"])
    step = tf.compat.v1.get_variable("global_step", initializer=VALUES["global_step"])
    session.run([variable.initializer, step.initializer])
    saver = tf.compat.v1.train.Saver(
      [variable, step], write_version=tf.compat.v1.train.SaverDef.V1
    )
    saver.save(session, str(tmp_path / "slim.ckpt"), write_meta_graph=False)
  assert not (tmp_path / "slim.ckpt.index").exists()
  for source in (tmp_path, tmp_path / "slim.ckpt"):
    assert is_checkpoint(str(source))
    assert read(source) == [0, 1, 2]


def refused(source, match):
  with pytest.raises(ValueError, match=match) as error:
    read(source)
  assert "\n" not in str(error.value)


def test_several_in_a_folder_are_told(place):
  write(place / "model.ckpt-9", VALUES)
  refused(place, r"FOLDER/PREFIX.*'model\.ckpt-5', 'model\.ckpt-9'")
  assert read(place / "model.ckpt-9") == [0, 1, 2]


def test_an_empty_folder_and_a_lost_part_are_told(place, tmp_path):
  (tmp_path / "empty").mkdir()
  assert not is_checkpoint(str(tmp_path / "empty"))
  refused(tmp_path / "empty", r"the path before \.index")
  refused(tmp_path / "nothing", r"the path before \.index")
  (place / "model.ckpt-5.index").write_bytes(b"cut")
  refused(place, "a whole checkpoint of TensorFlow 1")


def test_a_checkpoint_of_tensorflow_2_is_told(tmp_path):
  tf.train.Checkpoint(a=tf.Variable(tf.ones([1]))).write(str(tmp_path / "ckpt"))
  refused(tmp_path / "ckpt", "TensorFlow 2, which keeps objects")
