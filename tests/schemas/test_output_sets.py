"""Laws of sets that are whole or not there, and of what their jobs leave."""

import datetime
import json
import os

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hardmine.schemas import bucket_leftovers, bucket_sets, processes
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.folders import folder
from hardmine.schemas.leftovers import collect, leftovers
from hardmine.schemas.manifest import MANIFEST_NAME, file_facts, read_manifest
from hardmine.schemas.output_sets import output_set
from hardmine.schemas.outputs import PATCHES


@pytest.fixture(autouse=True)
def memory():
  MemoryFileSystem.store.clear()
  MemoryFileSystem.pseudo_dirs[:] = [""]
  yield
  MemoryFileSystem.store.clear()


@pytest.fixture(params=["disk", "bucket"])
def output(request, tmp_path):
  return str(tmp_path / "out") if request.param == "disk" else "memory://bucket/out"


@pytest.fixture
def url():
  return "memory://bucket/out"


def fill(made, content):
  made.scratch.write("parts/0", b"part")
  made.shards.write("a.gz", content)
  made.commit({"a.gz": file_facts(made.shards, "a.gz")}, counts={"patches": 1})


def fails(made, *steps, told, error=RuntimeError):
  """Makes a set, takes more steps, and is told that it was not published."""

  def work():
    with made:
      fill(made, b"second")
      for step in steps:
        step()

  with pytest.raises(error, match=told):
    work()


def give_up():
  raise KeyError("given up")


def make(output, content=b"new", **options):
  with output_set(output, kind=PATCHES, **options) as made:
    fill(made, content)


def held(output):
  """The content of a set's only file."""
  (name,) = read_manifest(output)["files"]
  return folder(output).read(name)


def leave(url, content=b"half", **options):
  """What a job that was killed leaves in a bucket."""
  made = output_set(url, kind=PATCHES, **options)
  made.__enter__()
  fill(made, content)
  made._done.set()
  return made


def dead(monkeypatch, *sets):
  """Has the jobs of sets be gone; None leaves it to the clock."""
  tokens = [json.loads(made._who)["token"] for made in sets]
  lives = processes.lives
  monkeypatch.setattr(
    processes, "lives", lambda who: who.get("token") not in tokens and lives(who)
  )


def states(output):
  return [one.state for one in leftovers(output)]


def test_a_set_is_whole_or_not_there(output):
  fails(output_set(output, kind=PATCHES), give_up, told="given up", error=KeyError)
  assert folder(output).tree() == set()
  make(output)
  other = output_set(output, kind=PATCHES, overwrite=True)
  fails(other, give_up, told="given up", error=KeyError)
  assert held(output) == b"new"
  make(output, b"newer", overwrite=True)
  assert held(output) == b"newer"
  assert folder(output).tree() == {MANIFEST_NAME, *read_manifest(output)["files"]}
  assert leftovers(output) == []


def test_what_is_not_ours_is_never_replaced(output):
  make(output)
  with pytest.raises(ValueError, match="--overwrite"):
    output_set(output, kind=PATCHES)
  with pytest.raises(ValueError, match="images made before"):
    output_set(output, kind="images", overwrite=True)
  (name,) = read_manifest(output)["files"]
  for foreign in ("notes.txt", f"{name}.txt", "made-by-anna/x"):
    folder(output).write(foreign, b"mine")
    with pytest.raises(ValueError, match="nothing else"):
      output_set(output, kind=PATCHES, overwrite=True)
    folder(output).remove(foreign)
    if "anna" in foreign:
      folder(output).remove_tree("made-by-anna")
  make(output, overwrite=True)


def test_a_second_job_of_an_output_is_kept_apart(url):
  first, second = (output_set(url, kind=PATCHES) for _ in range(2))

  def overtake():
    with first:
      fill(first, b"first")
      assert states(url) == ["at_work"] * 2

  fails(second, overtake, told=r"has changed since the start.*made lies in")
  assert held(url) == b"first"
  (apart,) = leftovers(url)
  assert apart.state == "set"
  assert collect(url) == []
  assert held(apart.place) == b"second"


def test_of_two_that_replace_a_set_one_does(url):
  make(url, b"old")
  second = output_set(url, kind=PATCHES, overwrite=True)
  fails(
    second,
    lambda: make(url, b"first", overwrite=True),
    told="has changed since the start",
  )
  assert held(url) == b"first"
  assert states(url) == ["set"]


def test_what_a_killed_job_left_goes_and_the_rest_stays(url, monkeypatch):
  make(url, b"old")
  folder(url).write("made-20260101t000000-01234567/patches", b"a set without manifest")
  gone = leave(url, overwrite=True)
  assert states(url) == ["unknown", "at_work"]
  dead(monkeypatch, gone)
  assert states(url) == ["unknown", "left"]
  (removed,) = collect(url)
  assert (removed.num_files, removed.state) == (3, "left")
  assert f"process {os.getpid()} of" in removed.who
  assert states(url) == ["unknown"]
  assert held(url) == b"old"


def test_the_clock_of_the_store_decides_where_no_process_is_seen(url, monkeypatch):
  leave(url)
  monkeypatch.setattr(processes, "lives", lambda who: None)
  bucket = Bucket.at_url(url)
  now = bucket_leftovers.store_time(bucket)
  for seconds, state in ((0, "at_work"), (890, "at_work"), (910, "left")):
    later = now + datetime.timedelta(seconds=seconds)
    (one,) = bucket_leftovers.leftovers(bucket, url, later)
    assert one.state == state
  assert bucket_leftovers.collect(bucket, url, now) == []
  later = now + datetime.timedelta(seconds=910)
  assert len(bucket_leftovers.collect(bucket, url, later)) == 1
  assert folder(url).tree() == set()


def test_what_workers_write_too_late_is_collected_and_a_users_file_is_not(
  url, monkeypatch
):
  make(url)
  (name,) = read_manifest(url)["files"]
  made = name.partition("/")[0]
  folder(url).write(f"{made}/scratch/parts/0", b"late")
  folder(url).write(f"{made}/notes.txt", b"a user's")
  bucket = Bucket.at_url(url)
  assert states(url) == ["at_work"]  # whoever wrote that may write more
  later = bucket_leftovers.store_time(bucket) + datetime.timedelta(seconds=910)
  (gone,) = bucket_leftovers.collect(bucket, url, later)
  assert (gone.state, gone.num_files) == ("left", 1)
  assert folder(url).tree() == {MANIFEST_NAME, name, f"{made}/notes.txt"}
  assert held(url) == b"new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_workers_that_outlive_a_job_that_failed_leave_nothing_for_ever(url, error):
  made = output_set(url, kind=PATCHES)

  def interrupted():
    made.outlived()
    raise error

  fails(made, interrupted, told="", error=error)
  made.shards.write("a.gz", b"late")
  bucket = Bucket.at_url(url)
  later = bucket_leftovers.store_time(bucket) + datetime.timedelta(seconds=910)
  make(url)  # is not disturbed
  (gone,) = bucket_leftovers.collect(bucket, url, later)
  assert (gone.state, gone.num_files) == ("left", 2)
  assert states(url) == []
  assert held(url) == b"new"


def test_a_job_that_was_taken_for_dead_publishes_nothing(url, monkeypatch):
  make(url, b"old")
  slept = output_set(url, kind=PATCHES, overwrite=True)
  fails(
    slept,
    lambda: dead(monkeypatch, slept),
    lambda: collect(url),
    told="took this one for dead",
  )
  assert held(url) == b"old"
  assert folder(url).tree() == {MANIFEST_NAME, *read_manifest(url)["files"]}


@pytest.mark.parametrize("replaces", [False, True])
def test_collected_in_the_instant_of_publishing_is_taken_back(
  url, monkeypatch, replaces
):
  if replaces:
    make(url, b"old")
  before = folder(url).tree()
  slept = output_set(url, kind=PATCHES, overwrite=replaces)
  known = iter([True, False])  # before the manifest was written, and behind it
  monkeypatch.setattr(bucket_sets.BucketSet, "_is_known", lambda self: next(known))
  fails(slept, told="took this one for dead")
  assert folder(url).tree() == before
  if replaces:
    assert held(url) == b"old"


def test_a_file_that_is_gone_is_noticed(url):
  made = output_set(url, kind=PATCHES)
  fails(made, lambda: made.shards.write("a.gz", b""), told="Nothing was published")
  assert folder(url).tree() == set()


def test_a_plain_set_that_was_never_finished(url, monkeypatch):
  shard = "Split-train/data_tfrecord-00000-of-00001.gz"
  made = output_set(url, kind=PATCHES, plain=True)
  made.__enter__()
  made.shards.write(shard, b"half")
  folder(url).write("notes.txt", b"mine")
  assert collect(url) == []
  dead(monkeypatch, made)
  (removed,) = collect(url)
  assert removed.num_files == 2
  assert folder(url).tree() == {"notes.txt"}


def test_a_damaged_manifest_stops_all(url, monkeypatch):
  gone = leave(url)
  dead(monkeypatch, gone)
  folder(url).write(MANIFEST_NAME, b"{")
  with pytest.raises(RuntimeError, match="damaged"):
    collect(url)
  assert len(folder(url).tree()) == 4
