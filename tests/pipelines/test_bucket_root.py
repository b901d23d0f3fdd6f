"""What a run holds of a root in a bucket: a lock, and records for the next run."""

import contextlib
import datetime
import json
import os
import shutil
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from hardmine.pipelines.metadata_file import check_metadata, last_execution
from hardmine.pipelines.orchestrators import bucket_root
from hardmine.pipelines.orchestrators.bucket_root import LOCK, RECORDS, held_bucket
from hardmine.pipelines.orchestrators.held_root import held_root
from hardmine.pipelines.site import Site
from hardmine.schemas import bucket
from hardmine.schemas.folders import folder
from tests.s3_server import broken_s3_server, s3_server


@pytest.fixture(scope="module")
def client():
  with s3_server("roots") as client:
    yield client


@pytest.fixture
def site(client, tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
  site = Site(root=f"s3://roots/{uuid.uuid4().hex}/")
  os.makedirs(site.local_dir)
  return site


@contextlib.contextmanager
def on_another_machine(monkeypatch, tmp_path):
  with monkeypatch.context() as patch:
    patch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    yield


def write_records(path: str, last: int) -> None:
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with closing(sqlite3.connect(path)) as database, database:
    database.execute("CREATE TABLE IF NOT EXISTS Execution (id INTEGER)")
    database.execute("INSERT INTO Execution VALUES (?)", (last,))


def test_what_needs_a_disk_depends_on_the_root_alone(site, tmp_path, monkeypatch):
  assert site.root == site.root.rstrip("/")
  assert Path(site.local_dir).parent == tmp_path / "state" / "hardmine" / "roots"
  for path in (site.metadata_path, site.logs_dir, site.lock_path):
    assert Path(path).parent == Path(site.local_dir)
  assert site.artifacts_dir == f"{site.root}/artifacts"
  assert site.checkpoint_dir("tiny") == f"{site.root}/checkpoints/tiny"
  monkeypatch.chdir(tmp_path)
  assert Site(root=site.root).local_dir == site.local_dir
  assert Site(root=f"{site.root}2").local_dir != site.local_dir
  assert Site(root=site.root, metadata_place="m").metadata_path == str(tmp_path / "m")
  with pytest.raises(ValueError, match="a local path"):
    Site(root=site.root, metadata_place="s3://roots/m")


def test_a_root_has_one_run_at_a_time_on_all_machines(site, tmp_path, monkeypatch):
  with held_bucket(site):
    with on_another_machine(monkeypatch, tmp_path):
      os.makedirs(site.local_dir)
      who = rf"process {os.getpid()} of \w+ on .* since 2\d\d\d-"
      with pytest.raises(RuntimeError, match=f"another run holds {site.root} .{who}"):
        hold(site)
    assert LOCK in folder(site.root).names()
  assert folder(site.root).names() == []


def test_a_lock_of_a_killed_run_is_taken_here_at_once_elsewhere_when_it_is_old(
  site, tmp_path, monkeypatch
):
  killed = bucket_root.HeldBucket(site)
  killed.take()
  killed._over.set()  # no beat any more, and nothing removed
  with held_bucket(site):
    assert json.loads(folder(site.root).read(LOCK))["token"] != killed._token
  killed._bucket.write(LOCK, killed._content())
  with on_another_machine(monkeypatch, tmp_path):
    os.makedirs(site.local_dir)
    with pytest.raises(RuntimeError, match="holds it for 15 minutes"):
      bucket_root.HeldBucket(site).take()
    monkeypatch.setattr(bucket_root, "STALE_SECONDS", -1.0)
    monkeypatch.setattr(bucket_root, "BEAT_SECONDS", 0.1)
    with held_bucket(site):
      pass
  assert folder(site.root).names() == []


def test_a_clock_that_jumps_takes_no_root_from_a_run_that_lives(
  site, tmp_path, monkeypatch
):
  monkeypatch.setattr(bucket_root, "BEAT_SECONDS", 0.5)
  now = bucket_root._now
  with held_bucket(site) as held, on_another_machine(monkeypatch, tmp_path):
    os.makedirs(site.local_dir)
    for days in (1, -1):
      jump = datetime.timedelta(days=days)
      monkeypatch.setattr(bucket_root, "_now", lambda jump=jump: now() + jump)
      with pytest.raises(RuntimeError, match="another run holds s3:"):
        bucket_root.HeldBucket(site).take()
    assert not held.is_lost


def test_a_run_that_lost_its_lock_stops_and_touches_nothing(site, monkeypatch):
  monkeypatch.setattr(bucket_root, "BEAT_SECONDS", 0.01)
  write_records(site.metadata_path, 3)
  with contextlib.ExitStack() as stack:
    held = stack.enter_context(held_bucket(site))
    while held._beating.is_alive():
      held._bucket.write(LOCK, b'{"token": "of another"}')
    for stop in (held.node_ended, stack.close):
      with pytest.raises(RuntimeError, match="another run took s3:"):
        stop()
  assert folder(site.root).names() == [LOCK]
  assert json.loads(folder(site.root).read(LOCK)) == {"token": "of another"}


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}"])
def test_a_lock_that_cannot_be_read_is_a_lock(site, content):
  folder(site.root).write(LOCK, content)
  with pytest.raises(RuntimeError, match="process unknown of unknown on unknown"):
    bucket_root.HeldBucket(site).take()


def test_records_go_along_with_the_bucket(site, tmp_path, monkeypatch):
  with held_bucket(site) as held:
    write_records(site.metadata_path, 5)
    held.node_ended()
    write_records(site.metadata_path, 6)
  with on_another_machine(monkeypatch, tmp_path):
    os.makedirs(site.local_dir)
    with held_bucket(site):
      assert last_execution(site.metadata_path) == 6
      write_records(site.metadata_path, 9)
  with held_bucket(site):
    assert last_execution(site.metadata_path) == 9
  assert last_execution(f"{site.metadata_path}.before") == 6


def test_this_machines_records_stay_where_they_know_more(site):
  with held_bucket(site):
    write_records(site.metadata_path, 5)
  write_records(site.metadata_path, 8)  # a run that was killed before its node ended
  with held_bucket(site):
    assert last_execution(site.metadata_path) == 8
  assert not os.path.exists(f"{site.metadata_path}.before")


def test_records_are_kept_when_a_run_fails_and_damaged_ones_are_replaced(site):
  with contextlib.suppress(ZeroDivisionError), held_bucket(site):
    write_records(site.metadata_path, 5)
    raise ZeroDivisionError
  Path(site.metadata_path).write_bytes(b"damaged" * 1000)
  with held_bucket(site):
    assert last_execution(site.metadata_path) == 5
  folder(site.root).write(RECORDS, b"damaged" * 1000)
  with held_bucket(site):
    assert last_execution(site.metadata_path) == 5


def test_outputs_that_no_records_know_stop_the_run_with_what_to_do(site):
  folder(site.root).write("artifacts/Trainer/model/12/saved_model.pb", b"")
  folder(site.root).write("artifacts/Trainer/.system/77/x", b"")
  with pytest.raises(RuntimeError, match="is not there or holds nothing: put it back"):
    check_metadata(site)
  write_records(site.metadata_path, 12)
  check_metadata(site)


def test_a_root_on_a_disk_needs_none_of_this(tmp_path):
  site = Site(root=str(tmp_path / "root"))
  with held_root(site), held_bucket(site) as held:
    assert held is None
  assert site.local_dir == site.root


def test_no_such_bucket_is_the_users_mistake(site):
  site = Site(root="s3://absent/root")
  os.makedirs(site.local_dir)
  with pytest.raises(ValueError, match=r"make s3://absent, .*root='s3://absent/root'"):
    hold(site)


def test_a_scheme_that_nothing_installed_reads_is_named():
  with pytest.raises(ValueError, match="Received: 'nosuch://b/r'"):
    hold(Site(root="nosuch://b/r"))


def test_refused_credentials_are_told(site):
  with (
    broken_s3_server(403, "AccessDenied"),
    pytest.raises(
      RuntimeError, match=r"refuses these credentials \(.*: they must allow"
    ),
  ):
    hold(site)


def test_a_bucket_that_throttles_is_asked_again_with_a_limit(site, monkeypatch):
  monkeypatch.setattr(bucket, "DELAYS_SECONDS", (0.0, 0.0))
  monkeypatch.setattr(S3FileSystem, "retries", 1)
  with (
    broken_s3_server(503, "SlowDown"),
    pytest.raises(RuntimeError, match=r"did not answer 3 times: .*SlowDown, it said"),
  ):
    hold(site)


def hold(site: Site) -> None:
  with held_bucket(site):
    pass


def test_the_state_folder_may_be_removed(site):
  with held_bucket(site):
    write_records(site.metadata_path, 4)
  shutil.rmtree(site.local_dir)
  os.makedirs(site.local_dir)
  with held_bucket(site):
    assert last_execution(site.metadata_path) == 4
