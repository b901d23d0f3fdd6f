"""A job killed at any operation on storage: no half set, nothing left at the end."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import uuid

import pytest

from hardmine.components.jobs.tfrecords import read_records
from hardmine.schemas.folders import folder
from hardmine.schemas.leftovers import collect, leftovers
from hardmine.schemas.manifest import MANIFEST_NAME, read_manifest
from hardmine.schemas.patch_example import from_example
from hardmine.schemas.uris import parent_and_name
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow

NUM_KILLS = 6  # of each kind of output, with a set that is replaced and without
PER_IMAGE, PER_IMAGE_BEFORE = 3, 2


@pytest.fixture(scope="module")
def s3():
  with s3_server("bucket"):
    yield


@pytest.fixture(scope="module")
def run(s3, tmp_path_factory):
  """Runs jobs, each in a process of its own."""
  place = tmp_path_factory.mktemp("photographs")
  temporary = tmp_path_factory.mktemp("temporary")  # killed ones leave files there
  with subprocess.Popen(
    [sys.executable, "-m", "tests.faults.killed_jobs", str(place)],
    env={**os.environ, "TMPDIR": str(temporary)},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(output, *, per_image=PER_IMAGE, kill_at=None, is_after=False):
      job = {"output": output, "per_image": per_image}
      print(json.dumps({**job, "kill_at": kill_at, "is_after": is_after}), file=stdin)
      stdin.flush()
      answer = json.loads(stdout.readline())
      # The last operation may be the last but one of another run.
      assert answer["status"] in ((0,) if kill_at is None else (0, signal.SIGKILL))
      return answer["operations"]

    yield ask
    stdin.close()


@pytest.fixture(params=["disk", "bucket"])
def output(request, tmp_path):
  if request.param == "disk":
    (tmp_path / "place").mkdir()
    return str(tmp_path / "place" / "out")
  return f"s3://bucket/{uuid.uuid4().hex}/out"


def patches(output):
  """The records of a whole set, None where there is none."""
  place = folder(output)
  if not place.exists(MANIFEST_NAME):
    return None
  found = []
  for name in read_manifest(output)["files"]:
    if name.endswith(".gz"):
      with place.local_copy(name) as path:
        found += [from_example(record) for record in read_records(path)]
  return sorted(
    (p.source, p.row_px, p.column_px, p.score, p.pixels.sum()) for p in found
  )


def everything(output):
  """The files at an output and beside it, relative to what it lies in."""
  parent, name = parent_and_name(output)
  found = folder(parent).tree()
  if f"{name}/{MANIFEST_NAME}" in found:
    manifest = json.loads(folder(output).read(MANIFEST_NAME))
    files = [MANIFEST_NAME, *manifest["files"]]
    assert found >= {f"{name}/{file}" for file in files}
    found -= {f"{name}/{file}" for file in files}
  return found


def points(operations, seed):
  """One number at random in each of as many equal stretches as there are kills."""
  chosen = random.Random(seed)
  edges = [1 + operations * i // NUM_KILLS for i in range(NUM_KILLS + 1)]
  return [chosen.randrange(*pair) for pair in itertools.pairwise(edges)]


@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replaces"])
def test_a_killed_job_leaves_the_old_set_or_the_new_one(run, output, replaces):
  if replaces:
    run(output, per_image=PER_IMAGE_BEFORE)
  old = patches(output)
  before = {name: folder(output).read(name) for name in folder(output).tree()}
  assert (old is not None) == replaces
  operations = run(output)
  new = patches(output)
  assert new is not None
  assert new != old
  assert everything(output) == set()
  seen, lived = [], 0
  for number, kill_at in enumerate(points(operations, seed=int(replaces))):
    folder(output).remove_tree()
    for name, content in before.items():
      folder(output).write(name, content)
    assert patches(output) == old
    lived += bool(run(output, kill_at=kill_at, is_after=number % 4 > 1))
    found = patches(output)
    left = leftovers(output)
    assert found in (new, old, None)
    assert {one.state for one in left} <= {"left", "aside"}
    assert bool(everything(output)) <= bool(left)  # whatever is there is listed
    seen.append(found == new)
    if number % 2 == 0:  # every other one is followed by another try
      collect(output)
      assert patches(output) in (new, old)  # one that was moved aside is back
    else:
      run(output)
      assert patches(output) == new
    assert leftovers(output) == []
    assert everything(output) == set()
  assert lived <= 1
  assert not all(seen)  # most died before the end
