"""Laws of a folder, on a disk and in an object store."""

import pickle

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hardmine.schemas import uris
from hardmine.schemas.folders import folder


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path):
  if request.param == "disk":
    yield folder(tmp_path / "new")
    return
  MemoryFileSystem.store.clear()
  MemoryFileSystem.pseudo_dirs[:] = [""]
  yield folder("memory://bucket/new")
  MemoryFileSystem.store.clear()


def test_what_is_written_is_read(place):
  assert place.tree() == set()
  assert place.names() == []
  place.write("a.txt", b"a")
  place.write("deep/er/b.txt", b"bb")
  with place.new_file("deep/c.txt") as file:
    file.write(b"c" * 10)
    assert not place.exists("deep/c.txt")  # before it is whole
  assert place.tree() == {"a.txt", "deep/er/b.txt", "deep/c.txt"}
  assert place.tree("deep") == {"er/b.txt", "c.txt"}
  assert sorted(place.names()) == ["a.txt", "deep"]
  assert place.read("deep/er/b.txt") == b"bb"
  assert list(place.pieces("deep/c.txt", 4)) == [b"cccc", b"cccc", b"cc"]
  assert place.size("deep/c.txt") == 10
  with place.local_copy("deep/c.txt") as path:
    assert path.name == "c.txt"
    assert path.read_bytes() == b"c" * 10
  place.write("a.txt", b"other")
  assert place.read("a.txt") == b"other"


def test_what_is_not_there_is_missed(place):
  place.write("folder/a", b"")
  for name in ("b", "folder", "folder/a/b"):
    assert not place.exists(name)
  for ask in (place.read, lambda name: list(place.pieces(name))):
    with pytest.raises(FileNotFoundError):
      ask("b")
  place.remove("b")
  place.remove_tree("c")
  assert place.exists("folder/a")


def test_a_file_that_fails_leaves_nothing(place):
  place.write("a", b"before")

  def fail():
    with place.new_file("a") as file:
      file.write(b"half")
      raise RuntimeError

  with pytest.raises(RuntimeError):
    fail()
  assert place.read("a") == b"before"
  assert place.tree() == {"a"}


def test_a_tree_is_removed_and_nothing_beside_it(place):
  for name in ("made", "made-1/a", "made-1/b/c", "made-10/a"):
    place.write(name, b"x")
  place.remove_tree("made-1")
  assert place.tree() == {"made", "made-10/a"}
  place.below("made-10").remove_tree()
  assert place.tree() == {"made"}


def test_it_goes_to_workers(place):
  inner = pickle.loads(pickle.dumps(place)).below("part")
  inner.write("x", b"1")
  assert place.read("part/x") == b"1"
  assert inner.at("x") == f"{place.url}/part/x"


def test_an_unknown_kind_of_url_is_one_line():
  with pytest.raises(ValueError, match=r"URL whose file system is installed.*nope://"):
    folder("nope://bucket/a")


def test_places(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  real = str(tmp_path.resolve())
  assert uris.absolute("a/../b") == f"{real}/b"
  assert uris.absolute(f"file://{real}/b%20c") == f"{real}/b c"
  assert uris.absolute("s3://bucket/a/") == "s3://bucket/a"
  assert uris.join("s3://bucket", "", "a/b") == "s3://bucket/a/b"
  assert uris.join("/", "a") == "/a"
  assert uris.parent_and_name("s3://bucket/a/b") == ("s3://bucket/a", "b")
  assert uris.parent_and_name("/a") == ("/", "a")
  for whole in ("s3://bucket", "/"):
    with pytest.raises(ValueError, match="inside a folder or a bucket"):
      uris.parent_and_name(whole)
  assert uris.is_below("/a/b", "/a")
  assert uris.is_below("/a", "/a")
  assert not uris.is_below("/ab", "/a")
