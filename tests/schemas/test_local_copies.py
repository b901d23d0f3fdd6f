"""Copies of what lies in a bucket, and folders that are uploaded."""

import contextlib
import errno
import os
import shutil
from collections import namedtuple

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hardmine.schemas.folders import BucketFolder, folder
from hardmine.schemas.local_copies import is_there, local_copy, local_output


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path):
  if request.param == "disk":
    yield str(tmp_path / "place")
    return
  yield from memory()


def memory():
  MemoryFileSystem.store.clear()
  MemoryFileSystem.pseudo_dirs[:] = [""]
  yield "memory://bucket/place"
  MemoryFileSystem.store.clear()


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
  import tempfile

  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
  (tmp_path / "temporary").mkdir()
  yield tmp_path / "temporary"
  assert list((tmp_path / "temporary").iterdir()) == []  # nothing is left behind


FILES = {"saved_model.pb": b"graph", "variables/data": b"1" * 3_000_000, "empty": b""}


def fill(path: str) -> None:
  for name, content in FILES.items():
    os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
    with open(os.path.join(path, name), "wb") as file:
      file.write(content)


def test_what_was_put_out_is_there_and_copied(place):
  assert not is_there(place)
  with local_output(place) as path:
    fill(path)
  assert {name: folder(place).read(name) for name in folder(place).tree()} == FILES
  assert is_there(place)
  assert is_there(f"{place}/variables/data")
  assert not is_there(f"{place}/variables/dat")
  with local_copy(place) as path:
    assert folder(path).tree() == set(FILES)
    assert folder(path).read("variables/data") == FILES["variables/data"]
  assert os.path.exists(path) is (path == place)


def test_only_what_is_wanted_is_copied_from_a_bucket(place):
  with local_output(place) as path:
    fill(path)
  with local_copy(place, wanted=lambda name: "/" not in name) as path:
    if path != place:
      assert folder(path).tree() == {"saved_model.pb", "empty"}


@pytest.fixture
def bucket():
  yield from memory()


def test_the_sign_that_all_is_there_comes_last(bucket, monkeypatch):
  order = []
  new_file = BucketFolder.new_file
  monkeypatch.setattr(
    BucketFolder, "new_file", lambda *a: (order.append(a[1]), new_file(*a))[1]
  )
  with local_output(bucket, last=["absent", "saved_model.pb"]) as path:
    fill(path)
  assert order[-1] == "saved_model.pb"
  assert set(order) == set(FILES)


def test_a_block_or_an_upload_that_fails_leaves_no_sign(bucket, monkeypatch):
  with contextlib.suppress(ZeroDivisionError), local_output(bucket) as path:
    fill(path)
    raise ZeroDivisionError
  assert not is_there(bucket)

  def fails(self, name):
    raise OSError("no")

  monkeypatch.setattr(BucketFolder, "new_file", fails)
  with pytest.raises(OSError, match="no"), local_output(bucket, last=["empty"]) as path:
    fill(path)
  assert not is_there(f"{bucket}/empty")


def test_an_object_that_is_too_short_is_told(bucket, monkeypatch):
  monkeypatch.setattr(BucketFolder, "size", lambda self, name: 1)
  with (
    pytest.raises(RuntimeError, match="was not uploaded whole"),
    local_output(bucket) as path,
  ):
    fill(path)


def test_too_small_a_disk_is_told_before_anything_is_copied(
  bucket, temporary, monkeypatch
):
  with local_output(bucket) as path:
    fill(path)
  usage = namedtuple("usage", "free")
  monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))
  told = f"place needs 3,000,005 bytes on this machine, and {temporary} has 1,000 left"
  with pytest.raises(OSError, match=told), local_copy(bucket):
    pass


def test_a_disk_that_fills_up_is_one_line_about_a_file(bucket, monkeypatch):
  with local_output(bucket) as path:
    fill(path)

  def full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(shutil, "move", full)
  with pytest.raises(OSError, match=r"No space left on device: '.*hardmine-"):
    local_copy(bucket).__enter__()
