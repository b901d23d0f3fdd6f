"""`hardmine doctor`: its findings, and that they change with the world."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import sys
from importlib import metadata

import pytest

from hardmine.pipelines.cli import (
  doctor_machine,
  doctor_packages,
  doctor_places,
  doctor_runtimes,
)
from hardmine.pipelines.cli.main import main
from tests.mysql_server import mysql_server
from tests.s3_server import broken_s3_server, s3_server


def test_this_environment_is_ready(capsys):
  # The tests need everything that hardmine needs.
  assert main(["doctor", "--json"]) == 0
  report = json.loads(capsys.readouterr().out)
  assert report["ready"] is True
  assert report["lane"] == doctor_packages.lane_of(sys.version_info[:2])
  found = {finding["subject"]: finding for finding in report["findings"]}
  assert found["tfx"]["found"] == metadata.version("tfx")
  assert found["tfx"]["status"] == "ok"
  assert report["installed"] == ["light", "worker", "pipelines"]
  assert len(found) == len(report["findings"])


def test_lines_for_people_name_the_same_subjects(capsys):
  assert main(["doctor"]) == 0
  out = capsys.readouterr().out
  assert "tensorflow" in out
  assert out.splitlines()[-1] == "hardmine is ready: light, worker, pipelines"


def test_the_tested_versions_include_every_requirement():
  lane = doctor_packages.lane_of(sys.version_info[:2])
  lock = (doctor_packages.REPOSITORY / "requirements" / f"{lane}.lock").read_text(
    "utf-8"
  )
  for extra in ("", "worker", "pipelines", "gcs", "s3", "formats", "signing", "dev"):
    findings = doctor_packages.check_requirements(extra)
    assert findings
    for finding in findings:
      assert f"\n{finding.subject}==" in f"\n{lock}"


@pytest.mark.parametrize(
  ("python", "lane"),
  [
    ((3, 10), "tfx-1.16"),
    ((3, 12), "tfx-1.21"),
    ((3, 13), "tfx-1.21"),
    ((3, 9), None),
    ((3, 11), None),
    ((3, 14), None),
  ],
)
def test_python_decides_about_the_lane(python, lane):
  assert doctor_packages.lane_of(python) == lane
  status = "ok" if lane else "note" if python > (3, 9) else "missing"
  assert doctor_packages.check_python(python).status == status


@pytest.mark.parametrize(
  ("lane", "libc", "status"),
  [
    ("tfx-1.16", ("glibc", "2.36"), "ok"),
    ("tfx-1.16", ("glibc", "2.27"), "note"),
    ("tfx-1.21", ("glibc", "2.36"), "note"),
    ("tfx-1.21", ("glibc", "2.39"), "ok"),
    ("tfx-1.16", ("", ""), "note"),  # musl
    (None, ("glibc", "2.27"), "ok"),
  ],
)
def test_wheels_need_their_glibc(lane, libc, status):
  assert doctor_packages.check_glibc(lane, libc).status == status


def test_what_is_absent_or_old_comes_with_a_remedy(monkeypatch):
  monkeypatch.setattr(
    doctor_packages.metadata, "requires", lambda _: ["no-such-thing>=2", "numpy>=1000"]
  )
  absent, old = doctor_packages.check_requirements()
  assert (absent.status, absent.found) == ("missing", "not installed")
  assert (old.status, old.found) == ("missing", metadata.version("numpy"))
  assert "no-such-thing>=2" in absent.remedy


def test_something_missing_is_a_failure(monkeypatch, capsys):
  monkeypatch.setattr(
    doctor_packages.metadata, "requires", lambda _: ["no-such-thing>=2"]
  )
  assert main(["doctor"]) == 1
  assert capsys.readouterr().out.splitlines()[-1] == "not ready, missing: 1"


@pytest.mark.parametrize(
  ("absent", "installed"),
  [
    (("tfx",), ["light", "worker"]),
    (("apache-beam", "tfx"), ["light"]),
    (("pycocotools",), ["light", "worker"]),
  ],
)
def test_parts_may_be_missing(monkeypatch, capsys, absent, installed):
  known = doctor_packages.version_of
  monkeypatch.setattr(
    doctor_packages, "version_of", lambda name: None if name in absent else known(name)
  )
  assert main(["doctor", "--json"]) == 0
  report = json.loads(capsys.readouterr().out)
  assert report["installed"] == installed
  notes = [one for one in report["findings"] if one["status"] == "note"]
  remedies = " ".join(one["remedy"] for one in notes)
  if "pycocotools" in absent:
    assert "pip install 'pycocotools>=2.0.8'" in remedies
  else:
    assert "pip install 'hardmine[pipelines]'" in remedies


def test_without_a_lane_the_pipelines_are_for_other_pythons():
  (finding,) = doctor_packages.check_part("pipelines", None)
  assert finding.status == "note"
  assert finding.remedy == "use Python 3.10, 3.12 or 3.13"
  assert all(one.status == "ok" for one in doctor_packages.check_part("worker", None))


def test_versions_that_were_not_tested_are_a_note(tmp_path):
  version = metadata.version("numpy")
  (tmp_path / "tfx-1.16.lock").write_text(f"numpy=={version}\npytest==0.1\n")
  finding = doctor_packages.check_lock("tfx-1.16", tmp_path)
  assert finding.status == "note"
  assert "1 of 2 packages differ: pytest" in finding.found
  (tmp_path / "tfx-1.16.lock").write_text(f"numpy=={version}\n")
  assert doctor_packages.check_lock("tfx-1.16", tmp_path).status == "ok"


def test_no_lock_beside_a_wheel_is_a_note(tmp_path):
  assert doctor_packages.check_lock("tfx-1.16", tmp_path).status == "note"


@pytest.mark.parametrize(
  ("device", "found"), [(None, "none"), ("nvidia1", "present"), ("nvidiactl", "none")]
)
def test_a_gpu_is_one_whose_device_is_there(tmp_path, monkeypatch, device, found):
  (tmp_path / "nvidia-smi").touch(0o755)  # as images for machines with one have it
  monkeypatch.setenv("PATH", str(tmp_path))
  if device:
    (tmp_path / device).touch()
  assert doctor_machine.check_accelerators(tmp_path, tmp_path).found.startswith(found)


def test_cores_are_those_that_the_process_may_use(monkeypatch):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
  monkeypatch.setattr(os, "cpu_count", lambda: 64)
  assert doctor_machine.num_cores() == 1


@pytest.mark.parametrize(
  ("devices", "found"),
  [
    (["nvidia0", "nvidia1"], "present: 2 NVIDIA GPU (NVIDIA L4)"),
    (["accel0"], "present: 1 TPU"),
    (["kfd"], "present: 1 AMD GPU"),
  ],
)
def test_accelerators_are_counted_and_named(tmp_path, devices, found):
  for device in devices:
    (tmp_path / device).touch()
  for place in ("0000:00:04.0", "0000:00:05.0"):
    about = tmp_path / "driver/nvidia/gpus" / place / "information"
    about.parent.mkdir(parents=True)
    about.write_text("Model: \t\t NVIDIA L4\nIRQ: 11\n" if "nvidia0" in devices else "")
  finding = doctor_machine.check_accelerators(tmp_path, tmp_path)
  assert finding.found.startswith(found)
  assert finding.status == "ok" or finding.remedy


def test_one_package_that_others_cannot_use_is_a_conflict(monkeypatch):
  assert doctor_packages.check_conflicts().status == "ok"
  known = doctor_packages.version_of
  monkeypatch.setattr(
    doctor_packages,
    "version_of",
    lambda name: "0.1" if name == "jinja2" else known(name),
  )
  finding = doctor_packages.check_conflicts()
  assert finding.status == "note"
  assert re.search(r"needs jinja2\S+, here is 0\.1", finding.found, re.I)


def test_an_extra_of_another_version_is_told(monkeypatch):
  known = doctor_packages.version_of
  monkeypatch.setattr(
    doctor_packages, "version_of", lambda name: "0.1" if name == "s3fs" else known(name)
  )
  finding = doctor_packages.check_extra("s3:// paths", "s3", "s3fs")
  assert (finding.status, finding.found) == ("note", "s3fs 0.1, not >=2024.6")


def test_disks_are_those_that_are_written(tmp_path, monkeypatch):
  monkeypatch.setenv("TMPDIR", str(tmp_path))
  root, temporary, home = doctor_machine.check_disks(str(tmp_path / "not" / "yet"))
  assert root.found.endswith(f"GiB free in {tmp_path}")
  assert temporary.found == root.found
  assert home.found.endswith(os.path.expanduser("~"))
  monkeypatch.setattr(doctor_machine, "_LITTLE_GIB", 1 << 40)
  for finding in doctor_machine.check_disks():
    assert finding.status == "note"
    assert finding.remedy


def test_a_local_root_is_where_one_may_write(tmp_path):
  assert doctor_places.check_root(str(tmp_path / "a" / "b")).status == "ok"
  assert not (tmp_path / "a").exists()
  (tmp_path / "file").touch()
  finding = doctor_places.check_root(str(tmp_path / "file"))
  assert (finding.status, finding.found) == ("missing", f"{tmp_path}/file is a file")


@pytest.mark.slow
def test_a_bucket_is_tried_and_left_as_it_was(capsys):
  with s3_server("bucket") as s3:
    assert main(["doctor", "--json", "--root", "s3://bucket/runs"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    (root,) = (one for one in found if one["subject"] == "root")
    assert root["found"] == "s3://bucket/runs: listed, written, read and removed"
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")
    assert main(["doctor", "--root", "s3://none/runs"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].endswith("s3://none/runs: there is no such bucket")
    assert lines[-2].endswith("-> aws s3 mb s3://none")
    assert lines[-1] == "not ready, missing: 1"


def test_wrong_credentials_are_one_line_with_the_right_to_give():
  with broken_s3_server(403, "AccessDenied"):
    finding = doctor_places.check_root("s3://bucket/runs")
  assert finding.status == "missing"
  assert finding.found.startswith("s3://bucket/runs: may not list (")
  assert "s3:PutObject" in finding.remedy


def test_a_store_of_records_is_whole_and_free(tmp_path):
  path = tmp_path / "metadata.sqlite"
  finding = doctor_places.check_metadata(str(path))
  assert finding.found == f"{path}, which the first run fills"
  assert not path.exists()
  with contextlib.closing(sqlite3.connect(path)) as database:
    database.execute("CREATE TABLE MLMDEnv (schema_version INTEGER)")
    database.execute("INSERT INTO MLMDEnv VALUES (10)")
    database.commit()
    finding = doctor_places.check_metadata(str(path))
    assert (finding.status, finding.found) == ("ok", f"{path} (tables 10)")
    database.execute("UPDATE MLMDEnv SET schema_version = 11")
    database.commit()
    finding = doctor_places.check_metadata(str(path))
    assert finding.status == "missing"
    assert "newer ML Metadata (tables 11, here 10)" in finding.found


def test_a_store_that_somebody_holds_names_who_to_ask(tmp_path, monkeypatch):
  path = tmp_path / "metadata.sqlite"
  monkeypatch.setattr(doctor_places, "_BUSY_SECONDS", 0.1)
  with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
    database.execute("CREATE TABLE t (a)")
    database.execute("BEGIN IMMEDIATE")
    finding = doctor_places.check_metadata(str(path))
  assert finding.status == "missing"
  assert "is locked by another process" in finding.found
  assert finding.remedy.count(f"fuser -v {path}") == 1


def test_a_damaged_store_is_told(tmp_path):
  path = tmp_path / "metadata.sqlite"
  path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
  finding = doctor_places.check_metadata(str(path))
  assert finding.status == "missing"
  assert "is damaged" in finding.found
  assert path.read_bytes().startswith(b"SQLite format 3")


def test_a_database_that_is_not_there_is_one_line_without_its_password(monkeypatch):
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    place = f"mysql://user:secret@127.0.0.1:{free.getsockname()[1]}/runs"
    finding = doctor_places.check_metadata(place)
  assert finding.status == "missing"
  assert finding.remedy == "see that it runs and can be reached from here"
  assert "secret" not in f"{finding}"
  assert doctor_places.check_metadata("mysql://x").status == "missing"


def test_the_database_of_the_environment_is_looked_at(monkeypatch, capsys):
  monkeypatch.setenv("HARDMINE_METADATA", "mysql://x:secret@")
  assert main(["doctor"]) == 1
  out = capsys.readouterr().out
  assert "metadata store" in out
  assert "secret" not in out


@pytest.mark.slow
def test_a_real_database_answers(tmp_path):
  with mysql_server(tmp_path) as server:
    finding = doctor_places.check_metadata(server.url("runs"))
    assert finding.status == "ok"
    assert finding.found.endswith("/runs, which the first run fills")
    wrong = server.url("runs").replace("cret", "")
    finding = doctor_places.check_metadata(wrong)
    assert (finding.status, finding.remedy) == ("missing", "see to user and password")


def test_runtimes_are_told_and_what_chooses_among_them(monkeypatch):
  monkeypatch.delenv("HARDMINE_RUNTIME", raising=False)
  found = {one.subject: one for one in doctor_runtimes.check_runtimes()}
  assert list(found) == [
    f"runtime {name}" for name in ("onnxruntime", "openvino", "tensorflow")
  ]
  assert found["runtime onnxruntime"].status == "ok"
  monkeypatch.setenv("HARDMINE_RUNTIME", "torch")
  *_, chosen = doctor_runtimes.check_runtimes()
  assert (chosen.status, chosen.found) == ("missing", "torch, which is no runtime")
  monkeypatch.setattr(doctor_runtimes.util, "find_spec", lambda name: None)
  assert {one.status for one in doctor_runtimes.check_runtimes()[:3]} == {"note"}
  monkeypatch.setenv("HARDMINE_RUNTIME", "openvino")
  *_, chosen = doctor_runtimes.check_runtimes()
  assert "hardmine[openvino]" in chosen.remedy
