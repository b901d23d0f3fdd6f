"""Folders of studies: gone on with, told apart, and nobody else's replaced."""

import json
import os
import subprocess
import sys

import pytest

from hardmine.pipelines.studies.asking import Failed, ask
from hardmine.pipelines.studies.records import Records, key_of, machine


def test_what_was_kept_is_found_by_another_process_of_the_same_folder(tmp_path):
  records = Records(tmp_path / "new" / "study")
  with records.held():
    records.keep("k", {"name": "it"}, {"seconds": 1.5})
  os.symlink(tmp_path / "new", tmp_path / "link")
  assert Records(tmp_path / "link" / "study").find("k") == {"seconds": 1.5}
  assert records.find("other") is None


def test_a_measurement_that_was_cut_short_is_none(tmp_path):
  records = Records(tmp_path)
  with records.held():
    records.keep("k", {}, 1)
  (path,) = (tmp_path / "measured").iterdir()
  path.write_text(path.read_text()[:9])
  assert records.find("k") is None


def test_only_a_new_folder_or_a_study_is_taken(tmp_path):
  (tmp_path / "notes.txt").write_text("mine")
  with pytest.raises(ValueError, match="new, empty, or an earlier study's"):
    Records(tmp_path)
  with pytest.raises(ValueError, match="a folder, or nothing"):
    Records(tmp_path / "notes.txt")
  (tmp_path / "study").mkdir()
  with Records(tmp_path / "study").held():
    pass
  Records(tmp_path / "study")


def test_two_studies_do_not_share_a_folder_at_once(tmp_path):
  records = Records(tmp_path / "it")
  code = (
    "import sys; from hardmine.pipelines.studies.records import Records\n"
    "with Records(sys.argv[1]).held(): pass"
  )
  command = [sys.executable, "-c", code, str(records.folder)]
  with records.held():
    done = subprocess.run(command, capture_output=True, text=True)
    assert "another study is at work" in done.stderr
  assert subprocess.run(command).returncode == 0


def test_a_key_is_of_all_that_it_is_given():
  facts = {"config": "{}", "runtime": "onnxruntime", "machine": machine()}
  assert key_of(facts) == key_of(dict(reversed(facts.items())))
  others = [
    {**facts, "runtime": "openvino"},
    {**facts, "machine": {}},
    {**facts, "x": 1},
  ]
  assert len({key_of(one) for one in [facts, *others]}) == 4
  assert json.loads(json.dumps(machine())) == machine()


def test_a_process_that_cannot_says_why():
  with pytest.raises(Failed, match="KeyError: 'runtime'"):
    ask({"do": "time"}, limit_seconds=60)


def test_a_process_that_takes_too_long_is_ended():
  with pytest.raises(Failed, match=r"took more than 0\.01 s; --limit-seconds"):
    ask({"do": "time"}, limit_seconds=0.01)
