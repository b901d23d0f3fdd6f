"""Jobs on a Dask cluster that shares nothing with them: right, or one line."""

import functools
import signal
import socket
import threading
import time

import apache_beam as beam
import distributed
import pytest

from hardmine.components.jobs import dask_runner
from hardmine.components.jobs.failures import JobFailed
from tests.components.jobs import cluster_runs
from tests.components.jobs.cluster_runs import (
  HERE,
  groups_of,
  jobs_module,
  results,
  wait_for,
)
from tests.components.jobs.clusters import dask_cluster

pytestmark = pytest.mark.slow
run = functools.partial(cluster_runs.run, beam="dask")
start = functools.partial(cluster_runs.start, beam="dask")


@pytest.fixture(scope="module")
def jobs():
  """The pipelines' module."""
  with jobs_module() as module:
    yield module


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
  """Two workers."""
  folder = tmp_path_factory.mktemp("cluster") / "there"
  with dask_cluster(2, folder, path=[HERE]) as started:
    yield started


def few(cluster, *more):
  return [*cluster.flags, "--dask_npartitions=4", *more]


@pytest.mark.parametrize("num_parts", [0, 1, 200])
def test_the_same_set_as_on_this_machine(tmp_path, cluster, jobs, num_parts):
  dask_flags = cluster.flags if num_parts > 1 else few(cluster)
  for name, flags in (("direct", []), ("dask", dask_flags)):
    (tmp_path / name).mkdir()
    run(jobs.build, num_parts, str(tmp_path / name), beam=name, flags=flags)
    assert (tmp_path / name / "touched").exists()
  expected, _ = results(tmp_path / "direct")
  found, seen = results(tmp_path / "dask")
  assert found == expected
  if num_parts > jobs.NUM_KEYS:
    assert {process for process, _ in seen} == {w.pid for w in cluster.workers}
    assert len({seed for _, seed in seen}) == 2  # strings hash differently


@pytest.mark.parametrize(
  ("how", "line"),
  [("value", "^part 2 is no good;"), ("odd", "OddOne: part 2 is no good;")],
)
def test_a_worker_s_error_is_one_line(cluster, jobs, how, line, capfd):
  with pytest.raises(JobFailed, match=line):
    run(jobs.build_failing, how, flags=few(cluster))
  assert capfd.readouterr() == ("", "")


def test_what_would_be_wrong_in_silence_is_refused(cluster):
  def tagged(pipeline):
    one = pipeline | beam.Create([1])
    _ = one | beam.ParDo(beam.DoFn()).with_outputs("other")

  def read(pipeline):
    _ = pipeline | beam.io.ReadFromText(__file__, validate=False)

  def window(pipeline):
    _ = pipeline | beam.Create([1]) | beam.WindowInto(beam.window.FixedWindows(1))

  for build in (tagged, read, window):
    with pytest.raises(ValueError, match=r"Expected .* run[s]? on Dask\. Received: "):
      run(build, flags=few(cluster))


def test_beam_s_own_sink_leaves_nothing_behind(tmp_path, cluster, jobs):
  run(jobs.build_text, str(tmp_path), flags=few(cluster))
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ["lines-00000-of-00002", "lines-00001-of-00002"]
  lines = [line for name in names for line in (tmp_path / name).read_text().split()]
  assert sorted(lines) == sorted(map(str, range(9)))


def test_a_worker_that_is_killed_loses_and_doubles_nothing(tmp_path, jobs):
  here = tmp_path / "here"
  here.mkdir()
  with dask_cluster(2, tmp_path / "there", path=[HERE]) as cluster:
    job = start(40, str(here), 0.3, flags=few(cluster))
    victim = cluster.workers[0]
    wait_for(lambda: (here / f"at-work-{victim.pid}").exists(), job)
    time.sleep(0.5)
    victim.kill()
    _, said = job.communicate(timeout=120)
    assert job.returncode == 0, said
  found, seen = results(here)
  assert {process for process, _ in seen} == {cluster.workers[1].pid}
  parts = [part for _, of_key in groups_of(found) for part in of_key]
  assert sorted(parts) == list(range(40))


def test_a_job_that_is_ended_leaves_the_cluster_idle(tmp_path, cluster):
  job = start(40, str(tmp_path), 1.0, flags=few(cluster))
  wait_for(lambda: list(tmp_path.glob("at-work-*")), job)
  job.send_signal(signal.SIGTERM)
  started = time.monotonic()
  _, said = job.communicate(timeout=60)
  assert time.monotonic() - started < 6
  assert b"Signalled" in said
  with distributed.Client(cluster.address, set_as_default=False) as client:
    wait_for(lambda: not any(client.processing().values()))
    assert not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
  assert not list(tmp_path.glob("*.json"))


def test_no_scheduler_is_one_line_at_once(jobs, capfd):
  with socket.socket() as unused:
    unused.bind(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
  flags = [f"--dask_client_address={address}", "--dask_connection_timeout=2"]
  started = time.monotonic()
  with pytest.raises(JobFailed, match=f"no Dask scheduler answers at {address}: look"):
    run(jobs.build_failing, "value", flags=flags)
  assert time.monotonic() - started < 20
  assert capfd.readouterr() == ("", "")


def test_no_worker_or_another_hardmine_is_one_line(tmp_path, jobs, monkeypatch, capfd):
  monkeypatch.setattr(dask_runner, "_WORKER_SECONDS", 0.5)
  other = tmp_path / "other" / "hardmine-0.0.9.dist-info"
  other.mkdir(parents=True)
  facts = "Metadata-Version: 2.1\nName: hardmine\nVersion: 0.0.9\n"
  (other / "METADATA").write_text(facts, "utf-8")
  with (
    dask_cluster(0, tmp_path / "empty") as cluster,
    pytest.raises(JobFailed, match="has no worker: start some with `dask worker tcp:"),
  ):
    run(jobs.build_failing, "value", flags=cluster.flags)
  monkeypatch.undo()
  with (
    dask_cluster(1, tmp_path / "old", path=[HERE, other.parent]) as cluster,
    pytest.raises(JobFailed, match=r"has hardmine 0\.0\.9, and this process has"),
  ):
    run(jobs.build_failing, "value", flags=cluster.flags)
  assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
  ("who", "line"),
  [
    ("worker", "all Dask workers of .* are gone, and none has come for 1 s"),
    ("scheduler", "the Dask scheduler at .* is gone"),
  ],
)
def test_a_cluster_that_is_gone_is_one_line(tmp_path, jobs, monkeypatch, who, line):
  monkeypatch.setattr(dask_runner, "_LOOK_SECONDS", 0.1)
  monkeypatch.setattr(dask_runner, "_ALONE_SECONDS", 1.0)
  with dask_cluster(1, tmp_path / "there", path=[HERE]) as cluster:
    killed = cluster.scheduler if who == "scheduler" else cluster.workers[0]

    def kill():
      wait_for(lambda: list(tmp_path.glob("at-work-*")))
      killed.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(JobFailed, match=line):
      run(jobs.build, 9, str(tmp_path), 0.5, flags=few(cluster))
    killer.join()
