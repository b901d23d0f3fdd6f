"""`hardmine doctor`: its findings, and that they change with the world."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata

import pytest

from hardmine.pipelines.cli import doctor
from hardmine.pipelines.cli.main import main


def test_this_environment_is_ready(capsys):
  # The tests need everything that hardmine needs.
  assert main(["doctor", "--json"]) == 0
  report = json.loads(capsys.readouterr().out)
  assert report["ready"] is True
  assert report["lane"] == doctor.lane_of(sys.version_info[:2])
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
  lane = doctor.lane_of(sys.version_info[:2])
  lock = (doctor._REPOSITORY / "requirements" / f"{lane}.lock").read_text("utf-8")
  for extra in ("", "worker", "pipelines", "gcs", "s3", "formats", "signing", "dev"):
    findings = doctor.check_requirements(extra)
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
  assert doctor.lane_of(python) == lane
  status = "ok" if lane else "note" if python > (3, 9) else "missing"
  assert doctor.check_python(python).status == status


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
  assert doctor.check_glibc(lane, libc).status == status


def test_what_is_absent_or_old_comes_with_a_remedy(monkeypatch):
  monkeypatch.setattr(
    doctor.metadata, "requires", lambda _: ["no-such-thing>=2", "numpy>=1000"]
  )
  absent, old = doctor.check_requirements()
  assert (absent.status, absent.found) == ("missing", "not installed")
  assert (old.status, old.found) == ("missing", metadata.version("numpy"))
  assert "no-such-thing>=2" in absent.remedy


def test_something_missing_is_a_failure(monkeypatch, capsys):
  monkeypatch.setattr(doctor.metadata, "requires", lambda _: ["no-such-thing>=2"])
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
  known = doctor._version_of
  monkeypatch.setattr(
    doctor, "_version_of", lambda name: None if name in absent else known(name)
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
  (finding,) = doctor.check_part("pipelines", None)
  assert finding.status == "note"
  assert finding.remedy == "use Python 3.10, 3.12 or 3.13"
  assert all(one.status == "ok" for one in doctor.check_part("worker", None))


def test_versions_that_were_not_tested_are_a_note(tmp_path):
  version = metadata.version("numpy")
  (tmp_path / "tfx-1.16.lock").write_text(f"numpy=={version}\npytest==0.1\n")
  finding = doctor.check_lock("tfx-1.16", tmp_path)
  assert finding.status == "note"
  assert "1 of 2 packages differ: pytest" in finding.found
  (tmp_path / "tfx-1.16.lock").write_text(f"numpy=={version}\n")
  assert doctor.check_lock("tfx-1.16", tmp_path).status == "ok"


def test_no_lock_beside_a_wheel_is_a_note(tmp_path):
  assert doctor.check_lock("tfx-1.16", tmp_path).status == "note"


@pytest.mark.parametrize(
  ("device", "found"), [(None, "none"), ("nvidia1", "present"), ("nvidiactl", "none")]
)
def test_a_gpu_is_one_whose_device_is_there(tmp_path, monkeypatch, device, found):
  (tmp_path / "nvidia-smi").touch(0o755)  # as images for machines with one have it
  monkeypatch.setenv("PATH", str(tmp_path))
  if device:
    (tmp_path / device).touch()
  assert doctor.check_gpu(tmp_path).found.startswith(found)


def test_cores_are_those_that_the_process_may_use(monkeypatch):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
  monkeypatch.setattr(os, "cpu_count", lambda: 64)
  assert doctor._num_cores() == 1
