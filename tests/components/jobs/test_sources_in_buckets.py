"""Names that fsspec would read otherwise: each is found, listed and read as it is."""

import pytest

from hardmine.components.jobs.sources import each_below, find_sources, read_source
from tests.gcs_server import gcs_server
from tests.s3_server import s3_server

# Each with a folder that a pattern, a second URL or a version would lead to.
FOLDERS = {
  "p #2": "p ",
  "p?generation=7": "p",
  "p [12]": "p 1",
  "q *?": "q zz",
  "a::b": "b",
  "{x}": "x",
  "ü%20+": "ü ",
}


@pytest.fixture(scope="module")
def buckets():
  with s3_server("data") as s3, gcs_server("data") as google:
    for name in [*FOLDERS, *FOLDERS.values(), "a"]:
      s3.put_object(Bucket="data", Key=f"{name}/a.png", Body=name.encode())
      google.put("data", f"{name}/a.png", name.encode())
    yield


@pytest.fixture(params=["s3", "gs", "disk"])
def root(request, tmp_path, buckets):
  if request.param != "disk":
    return f"{request.param}://data"
  for name in [*FOLDERS, *FOLDERS.values(), "a"]:
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.png").write_text(name, "utf-8")
  return str(tmp_path)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_name_is_no_pattern(root, name):
  for pattern in (name, f"{name}/a.png", f"{name}/*.PNG", f"{name}/**"):
    (source,) = find_sources([f"{root}/{pattern}"]).sources
    assert (source.id, source.is_directory) == ("a.png", False)
    assert read_source(source.path) == name.encode()


@pytest.mark.parametrize("name", FOLDERS)
def test_what_lies_below_a_folder(root, name):
  (source,) = each_below(f"{root}/{name}")
  assert source.id == "a.png"
  assert read_source(source.path) == name.encode()
