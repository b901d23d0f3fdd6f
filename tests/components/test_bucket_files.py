"""TFX's and Beam's file systems over buckets: S3 by HTTP, and fsspec's in memory."""

from __future__ import annotations

import contextlib
import gzip
import uuid

import apache_beam as beam
import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.dsl.io import fileio
from tfx.utils import io_utils

from hardmine.components import bucket_files
from hardmine.pipelines.beam_runners import direct
from tests.s3_server import s3_server


@pytest.fixture(scope="module", params=["s3", "memory"])
def bucket(request):
  bucket_files.register()
  with s3_server("files"):
    yield f"{request.param}://files"


@pytest.fixture
def root(bucket):
  return f"{bucket}/{uuid.uuid4().hex}"


def write(path: str, content: str | bytes = "") -> str:
  with fileio.open(path, "wb" if isinstance(content, bytes) else "w") as file:
    file.write(content)
  return path


def test_what_is_written_is_read(root):
  assert fileio.open(write(f"{root}/a", "é\nb"), "r").read() == "é\nb"
  assert list(fileio.open(f"{root}/a")) == ["é\n", "b"]
  assert fileio.open(write(f"{root}/b", b"\xff" * 100_000), "rb").read()[-2:] == (
    b"\xff\xff"
  )
  with fileio.open(f"{root}/a", "a") as file:
    file.write("c")
  assert fileio.open(f"{root}/a", "rb").read() == "é\nbc".encode()
  assert fileio.open(write(f"{root}/empty", b""), "rb").read() == b""


def test_a_block_that_fails_leaves_no_file_and_what_was_there(root):
  write(f"{root}/old", "old")
  for path, half in (
    (f"{root}/new", "half"),
    (f"{root}/old", "half"),
    (f"{root}/x", b"half"),
  ):
    mode = "w" if isinstance(half, str) else "wb"
    with contextlib.suppress(ZeroDivisionError), fileio.open(path, mode) as file:
      file.write(half)
      raise ZeroDivisionError
  assert fileio.listdir(root) == ["old"]
  assert fileio.open(f"{root}/old").read() == "old"


def test_there_is_what_was_written_and_the_folders_around_it(root):
  write(f"{root}/a/b/c", "")
  for path, isdir in (("a", True), ("a/b", True), ("a/b/c", False)):
    assert fileio.exists(f"{root}/{path}")
    assert fileio.isdir(f"{root}/{path}") is isdir
    assert fileio.stat(f"{root}/{path}").is_directory is isdir
  for path in ("a/b/c/d", "a/b/cc", "a/bb", "a/b/", "b"):
    assert fileio.exists(f"{root}/{path}") is (path == "a/b/")


@pytest.mark.parametrize(
  "missing",
  [
    lambda path: fileio.open(path).read(),
    lambda path: fileio.copy(path, f"{path}2"),
    fileio.remove,
    fileio.rmtree,
    fileio.listdir,
    fileio.stat,
  ],
  ids=["open", "copy", "remove", "rmtree", "listdir", "stat"],
)
def test_what_is_not_there_is_told_by_tfxs_own_error(root, missing):
  write(f"{root}/there")
  with pytest.raises(fileio.NotFoundError, match=f"{root}/absent"):
    missing(f"{root}/absent")
  assert fileio.glob(f"{root}/absent*") == fileio.glob(f"{root}/absent/x") == []


def test_a_folder_that_was_made_is_there_until_it_is_removed(root):
  fileio.makedirs(f"{root}/a/b")
  assert fileio.isdir(root)
  assert fileio.exists(f"{root}/a/b")
  assert fileio.listdir(root) == ["a"]
  assert fileio.listdir(f"{root}/a/b") == []
  fileio.rmtree(f"{root}/a")
  assert not fileio.exists(f"{root}/a")


def test_removing_a_tree_touches_only_what_is_below(root):
  for path in ("a/1", "a/2/3", "ab/1", "a.txt", "b/a/1"):
    write(f"{root}/{path}")
  fileio.rmtree(f"{root}/a")
  left = [
    f"{folder}/{name}" for folder, _, names in fileio.walk(root) for name in names
  ]
  assert sorted(left) == [f"{root}/{path}" for path in ("a.txt", "ab/1", "b/a/1")]


def test_walks_see_every_file_once_and_every_folder_before_what_is_in_it(root):
  paths = {"x", "a/1", "a/2", "a/b/c/3", "d/4"}
  for path in paths:
    write(f"{root}/{path}")
  seen = list(fileio.walk(root))
  assert {f"{at}/{name}" for at, _, names in seen for name in names} == {
    f"{root}/{path}" for path in paths
  }
  places = [at for at, _, _ in seen]
  assert places[0] == root
  assert {f"{at}/{inner}" for at, folders, _ in seen for inner in folders} == {
    *places[1:]
  }
  for number, (at, folders, _) in enumerate(seen):
    assert {f"{at}/{inner}" for inner in folders} <= {*places[number + 1 :]}
  assert [at for at, _, _ in fileio.walk(root, topdown=False)] == places[::-1]


def test_patterns_match_within_one_part_of_a_path(root):
  for path in ("Split-train/d-0.gz", "Split-train/d-1.gz", "Split-eval/d-0.gz", "d-0"):
    write(f"{root}/{path}")
  both = [f"{root}/Split-train/d-{n}.gz" for n in (0, 1)]
  assert fileio.glob(f"{root}/Split-train/*") == both
  assert fileio.glob(f"{root}/Split-train/d-[1-9]*") == both[1:]
  assert fileio.glob(f"{root}/*/d-1.gz") == both[1:]
  assert fileio.glob(f"{root}/Split-????/*") == [f"{root}/Split-eval/d-0.gz"]
  assert fileio.glob(f"{root}/*") == [
    f"{root}/{name}" for name in ("Split-eval", "Split-train", "d-0")
  ]
  assert fileio.glob(f"{root}/d-0") == [f"{root}/d-0"]
  assert len(fileio.glob(f"{root}/*")) == 3


def test_copies_and_renames_keep_content_and_overwrite_only_when_told(root):
  write(f"{root}/a", "a")
  write(f"{root}/b", "b")
  for move in (fileio.copy, fileio.rename):
    with pytest.raises(OSError, match=r"/b exists already"):
      move(f"{root}/a", f"{root}/b")
  fileio.copy(f"{root}/a", f"{root}/b", overwrite=True)
  fileio.rename(f"{root}/b", f"{root}/c")
  assert [fileio.open(f"{root}/{name}").read() for name in "ac"] == ["a", "a"]
  write(f"{root}/tree/x/1", "1")
  fileio.rename(f"{root}/tree", f"{root}/moved")
  assert fileio.open(f"{root}/moved/x/1").read() == "1"
  assert not fileio.exists(f"{root}/tree")
  assert sorted(fileio.listdir(root)) == ["a", "c", "moved"]


def test_tfx_copies_trees_between_disk_and_bucket(root, tmp_path):
  (tmp_path / "model" / "variables").mkdir(parents=True)
  (tmp_path / "model" / "variables" / "data").write_bytes(b"1" * 70_000)
  (tmp_path / "model" / "saved_model.pb").write_bytes(b"graph")
  io_utils.copy_dir(str(tmp_path / "model"), f"{root}/model")
  io_utils.copy_dir(f"{root}/model", str(tmp_path / "back"))
  assert (tmp_path / "back" / "variables" / "data").read_bytes() == b"1" * 70_000
  assert (tmp_path / "back" / "saved_model.pb").read_bytes() == b"graph"
  assert io_utils.get_only_uri_in_dir(f"{root}/model/variables").endswith("/data")


def test_beam_reads_and_writes_records(root):
  """As StatisticsGen does: compressed shards by a pattern, and one file at the end."""
  records = [b"%d" % number for number in range(50)]

  def pipeline():
    return beam.Pipeline(options=PipelineOptions(direct()))

  with pipeline() as job:
    _ = (
      job
      | beam.Create(records)
      | beam.io.WriteToTFRecord(
        f"{root}/set/data", file_name_suffix=".gz", num_shards=3
      )
    )
  assert sum(len(names) for _, _, names in fileio.walk(f"{root}/set")) == 3
  shard = fileio.glob(f"{root}/set/data-00000*")[0]
  assert gzip.decompress(fileio.open(shard, "rb").read())
  with pipeline() as job:
    _ = (
      job
      | beam.io.ReadFromTFRecord(f"{root}/set/*.gz")
      | beam.combiners.ToList()
      | beam.Map(lambda found: b" ".join(sorted(found, key=int)))
      | beam.io.WriteToText(
        f"{root}/all",
        shard_name_template="",
        append_trailing_newlines=False,
        coder=beam.coders.BytesCoder(),
      )
    )
  assert fileio.open(f"{root}/all", "rb").read() == b" ".join(records)


def test_beams_file_operations(root):
  def path(name: str) -> str:
    return FileSystems.join(root, name)

  with FileSystems.create(path("a/1")) as file:
    file.write(b"12")
  FileSystems.copy([path("a/1")], [path("a/2")])
  FileSystems.rename([path("a/2")], [path("b/2")])
  (found,) = FileSystems.match([path("*/*")])
  assert [(one.path, one.size_in_bytes) for one in found.metadata_list] == [
    (path("a/1"), 2),
    (path("b/2"), 2),
  ]
  assert FileSystems.checksum(path("a/1")) == FileSystems.checksum(path("b/2"))
  FileSystems.delete([path("a")])
  assert not FileSystems.exists(path("a/1"))
  with FileSystems.open(path("b/2")) as file:
    assert file.read() == b"12"
  with pytest.raises(BeamIOError, match="absent"):
    FileSystems.open(path("absent"))
