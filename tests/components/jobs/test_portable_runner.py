"""Jobs behind Beam's own job service in another process: right, or one line."""

import functools
import os
import signal
import socket
import tempfile
import threading
import time

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from hardmine.components.jobs import portable_runner
from hardmine.components.jobs.failures import JobFailed
from tests.components.jobs import cluster_runs
from tests.components.jobs.cluster_runs import HERE, jobs_module, results, wait_for
from tests.components.jobs.clusters import job_service

pytestmark = pytest.mark.slow
run = functools.partial(cluster_runs.run, beam="portable")


@pytest.fixture(scope="module")
def jobs():
  """The pipelines' module."""
  with jobs_module() as module:
    yield module


@pytest.fixture(scope="module")
def service(tmp_path_factory):
  """It runs one job after the other."""
  with job_service(
    tmp_path_factory.mktemp("service") / "there", path=[HERE]
  ) as started:
    yield started


@pytest.mark.parametrize("num_parts", [0, 200])
def test_the_same_set_as_on_this_machine(tmp_path, service, jobs, num_parts):
  for name, flags in (("direct", []), ("portable", service.flags)):
    (tmp_path / name).mkdir()
    run(jobs.build, num_parts, str(tmp_path / name), beam=name, flags=flags)
    assert (tmp_path / name / "touched").exists()
  expected, here = results(tmp_path / "direct")
  found, seen = results(tmp_path / "portable")
  assert found == expected
  if num_parts:
    assert {process for process, _ in here} == {os.getpid()}
    assert not {process for process, _ in seen} & {os.getpid(), service.process.pid}


def test_nothing_stays_among_the_temporary_files(tmp_path, service, jobs, monkeypatch):
  (tmp_path / "temporary").mkdir()
  (tmp_path / "out").mkdir()
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
  run(jobs.build, 3, str(tmp_path / "out"), flags=service.flags)
  assert results(tmp_path / "out")[0]
  assert list((tmp_path / "temporary").iterdir()) == []
  assert tempfile.gettempdir() == str(tmp_path / "temporary")


def test_a_job_of_more_than_a_call_s_time_goes_on(tmp_path, service, jobs):
  flags = [*service.flags, "--job_server_timeout=1"]  # a minute unless told
  run(jobs.build, 13, str(tmp_path), 0.3, flags=flags)
  found, _ = results(tmp_path)
  assert len(cluster_runs.groups_of(found)) == jobs.NUM_KEYS


@pytest.mark.parametrize(
  ("how", "line"),
  [("value", "^part 2 is no good;"), ("odd", "OddOne: part 2 is no good;")],
)
def test_a_worker_s_error_is_one_line(service, jobs, how, line, capfd):
  with pytest.raises(JobFailed, match=line):
    run(jobs.build_failing, how, flags=service.flags)
  assert capfd.readouterr() == ("", "")


def test_no_service_is_one_line_at_once(jobs, monkeypatch, capfd):
  monkeypatch.setattr(portable_runner, "_CONNECT_SECONDS", 1.0)
  with socket.socket() as silent:
    silent.bind(("127.0.0.1", 0))
    endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
    flags = [f"--job_endpoint={endpoint}", "--sdk_container_image=hardmine"]
    for is_listening in (False, True):
      if is_listening:
        silent.listen()
      with pytest.raises(JobFailed, match=f"no job service answers at {endpoint}: "):
        run(jobs.build_failing, "value", flags=flags)
  assert capfd.readouterr() == ("", "")


def test_what_the_service_does_not_take_is_one_line(service, jobs, capfd):
  flags = [service.flags[0], "--environment_type=PROCESS"]
  flags.append('--environment_config={"command": "true"}')  # Beam's own cannot
  with pytest.raises(JobFailed) as error:
    run(jobs.build_failing, "value", flags=flags)
  assert "beam:env:process:v1" in str(error.value)
  assert "\n" not in str(error.value)
  assert capfd.readouterr() == ("", "")


def test_a_service_that_dies_is_one_line(tmp_path, jobs, monkeypatch):
  monkeypatch.setattr(portable_runner, "_GONE_SECONDS", 1.0)
  with job_service(tmp_path / "there", path=[HERE]) as service:

    def kill():
      wait_for(lambda: list(tmp_path.glob("at-work-*")))
      service.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(JobFailed, match=r"^the job service at \S+ is gone, "):
      run(jobs.build, 9, str(tmp_path), 0.5, flags=service.flags)
    killer.join()


def test_a_job_that_is_ended_is_cancelled(tmp_path):
  with job_service(tmp_path / "there", path=[HERE]) as service:
    job = cluster_runs.start(
      40, str(tmp_path), 1.0, beam="portable", flags=service.flags
    )
    wait_for(lambda: list(tmp_path.glob("at-work-*")), job)
    job.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, said = job.communicate(timeout=60)
    assert time.monotonic() - started < 6
    assert b"Signalled" in said
    with grpc.insecure_channel(service.endpoint) as channel:
      asked = beam_job_api_pb2_grpc.JobServiceStub(channel)
      (told,) = asked.GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info
  assert told.state == beam_job_api_pb2.JobState.CANCELLED
