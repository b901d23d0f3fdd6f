"""What is listed piece by piece is what fsspec lists as a whole."""

import pytest
from fsspec.implementations.local import LocalFileSystem

from hardmine.components.jobs.patterns import file_system
from hardmine.components.jobs.sources import stamp_of
from hardmine.components.jobs.walking import walk
from tests.gcs_server import gcs_server
from tests.s3_server import s3_server

NAMES = ["a/1.png", "a-b/2.png", "a/b/c/3.png", "a/b.png", "z.png", "a0/x y/ü #1.png"]
NAMES += [f"many/{number:04d}.png" for number in range(1203)]  # more than a page holds


@pytest.fixture(scope="module")
def buckets():
  with s3_server("data") as s3, gcs_server("data") as google:
    for name in [*NAMES, "marked/"]:
      s3.put_object(Bucket="data", Key=f"top/{name}", Body=b"x")
      google.put("data", f"top/{name}", b"x")
    yield


@pytest.fixture(params=["s3", "gs", "disk"])
def place(request, tmp_path, buckets):
  if request.param != "disk":
    return file_system(f"{request.param}://data")
  for name in NAMES:
    (tmp_path / "top" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "top" / name).write_bytes(b"x")
  (tmp_path / "top" / "marked").mkdir()
  return LocalFileSystem(), str(tmp_path)


@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("with_folders", [False, True])
@pytest.mark.parametrize("below", ["/top", "", "/top/a/1.png", "/top/none"])
def test_the_same_files_with_the_same_facts(place, below, depth, with_folders):
  files, root = place
  root += below
  expected = files.find(root, maxdepth=depth, detail=True)
  found = list(walk(files, root, depth=depth, with_folders=with_folders))
  assert len(dict(found)) == len(found)
  told = {path: f for path, f in found if f["type"] != "directory"}
  # A mark that there is a folder is a file to fsspec, in one listing of two.
  assert {path for path in told if not path.endswith("/")} == {
    path for path in expected if not path.endswith("/marked")
  } - {f"{root}/top/marked/", f"{root}/marked/"}
  for path in told.keys() & expected.keys():
    assert stamp_of(told[path]) == stamp_of(expected[path])


def test_folders_are_told_by_the_names_in_them(place):
  files, root = place
  found = walk(files, f"{root}/top", with_folders=True)
  folders = {path for path, facts in found if facts["type"] == "directory"}
  names = ("a", "a/b", "a/b/c", "a-b", "a0", "a0/x y", "many", "marked")
  assert folders == {f"{root}/top/{name}" for name in names}
  found = walk(files, f"{root}/top", depth=1, with_folders=True)
  assert {path.rpartition("/")[2] for path, _ in found} == {
    *("a", "a-b", "a0", "many", "marked", "z.png")
  }
