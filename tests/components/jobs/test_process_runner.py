"""Worker processes that die, in every way, end the job; and they end with it."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardmine.components.jobs.failures import JobFailed
from hardmine.pipelines.beam_runners import beam_log
from hardmine.schemas.outputs import StagedFolder

# A module that the processes find, whatever else is called `tests` where they look.
WORK = """
import os, signal, time
from pathlib import Path
from hardmine.components.jobs.shard_job import PLAN, Part, ShardJob, Workplace
from hardmine.components.jobs.shards import run_shards, write_part
from hardmine.pipelines.beam_runners import direct, pipeline_maker
from hardmine.schemas.folders import folder

class Work(ShardJob):
  def __init__(self, how):
    self.how = how

  def plan(self, place):
    place.tell(PLAN, {"shards": {"all": ["a.gz"]}, "images": 2, "parts": 2})
    for name in "01":
      yield Part(split="all", shard_path="a.gz", name=name, num_images=1)

  def work(self, part, place):
    if self.how == "killed":
      if part.name == "1":
        os.kill(os.getpid(), signal.SIGKILL)
      time.sleep(600)  # until the death of the other one ends this one too
    if self.how == "waits":
      Path(place.shards.at(f"at-work-{os.getpid()}")).touch()
      time.sleep(600)
    return write_part(part, place, [], {})

  def counts(self, reports, remarks):
    return {}

  def lists(self, reports, remarks):
    return {}

def run(staging, how):
  place = Workplace(shards=folder(staging), scratch=folder(staging / "scratch"))
  run_shards(Work(how), place, make_pipeline=pipeline_maker(direct(2)))
"""
# What Python runs at its own start, before anything of ours: of workers alone.
AT_START = "import os\nif 'WORKER_ID' in os.environ:\n  {}\n"


@pytest.fixture
def code(tmp_path):
  """A folder with that module."""
  folder = tmp_path / "code"
  folder.mkdir()
  (folder / "deadly_work.py").write_text(WORK)
  yield folder
  sys.modules.pop("deadly_work", None)


def children():
  """Of this process, but for those that are gone and only to be asked why."""
  found = []
  for path in Path("/proc").glob("[0-9]*/stat"):
    try:
      state, parent = path.read_text("latin-1").rpartition(")")[2].split()[:2]
    except OSError:
      continue
    if int(parent) == os.getpid() and state != "Z":
      found.append(int(path.parent.name))
  return found


@pytest.mark.parametrize(
  ("start", "how", "line"),
  [
    (None, "killed", r"^worker process \d of 2 .* died of SIGKILL; .* fewer workers"),
    ("os.abort()", "", r"^worker process \d of 2 .* died of SIGABRT"),
    ("raise SystemExit('no luck')", "", r"left with status 1: SystemExit: no luck"),
  ],
)
def test_a_worker_that_dies_ends_the_job(
  tmp_path, monkeypatch, capfd, code, start, how, line
):
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
  monkeypatch.syspath_prepend(str(code))
  run = importlib.import_module("deadly_work").run
  before = children()
  if start:
    (code / "sitecustomize.py").write_text(AT_START.format(start))
    monkeypatch.setenv("PYTHONPATH", str(code))
  started = time.monotonic()
  with pytest.raises(JobFailed, match=line), beam_log():
    run(tmp_path / "staging", how)
  assert time.monotonic() - started < 60
  assert children() == before
  assert capfd.readouterr() == ("", "")


JOB = """
import sys
sys.path.insert(0, sys.argv[2])
from deadly_work import run
from hardmine.schemas.outputs import StagedFolder
with StagedFolder(sys.argv[1]) as staging:
  run(staging, "waits")
"""


def test_workers_of_a_killed_job_end_and_the_next_one_sweeps(tmp_path, code):
  output = tmp_path / "out"
  words = [str(output), str(code)]
  job = subprocess.Popen([sys.executable, "-c", JOB, *words])
  deadline = time.monotonic() + 120
  while len(marks := list(tmp_path.glob(".out.staging-*/at-work-*"))) < 2:
    assert job.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.1)
  workers = [int(mark.name.rpartition("-")[2]) for mark in marks]
  held = StagedFolder(output)
  with held:
    assert marks[0].exists()  # of a process that lives
  job.kill()
  job.wait()
  while any(Path(f"/proc/{worker}").exists() for worker in workers):
    assert time.monotonic() < deadline
    time.sleep(0.1)
  with StagedFolder(output / "inner"):  # another output: nothing of ours
    assert marks[0].exists()
  output.rename(tmp_path / "away")
  with StagedFolder(output):
    assert not marks[0].parent.exists()
  assert sorted(path.name for path in tmp_path.iterdir()) == ["away", "code", "out"]
