"""`hardmine clean`, and what `hardmine inspect` says of sets and what lies beside."""

import json
import os

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.schemas.manifest import write_manifest
from hardmine.schemas.outputs import PATCHES
from hardmine.schemas.staging import ASIDE
from tests.schemas.test_staging import leave


@pytest.fixture
def output(tmp_path):
  return tmp_path / "place" / "out"


def make(output):
  output.mkdir(parents=True)
  (output / "a.gz").write_bytes(b"records")
  write_manifest(output, ["a.gz"], kind=PATCHES, counts={"patches": 1200, "dead": {}})


def ask(capsys, *words):
  status = main([*map(str, words), "--json"])
  return status, json.loads(capsys.readouterr().out)


def test_a_set_is_described(output, capsys):
  make(output)
  status, facts = ask(capsys, "inspect", output)
  assert status == 0
  assert facts["state"] == "whole"
  assert (facts["kind"], facts["num_files"], facts["num_bytes"]) == (PATCHES, 1, 7)
  assert facts["counts"]["patches"] == 1200
  assert facts["left_behind"] == []
  assert main(["inspect", str(output)]) == 0
  assert "1,200" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("content", "words", "status", "told"),
  [
    (b"record", [], 1, "has 6 bytes instead of 7"),
    (None, [], 1, "is missing"),
    (b"RECORDS", [], 0, ""),
    (b"RECORDS", ["--full"], 1, "differs from its SHA-256"),
  ],
)
def test_a_set_that_is_not_whole_is_told(output, capsys, content, words, status, told):
  make(output)
  (output / "a.gz").unlink()
  if content is not None:
    (output / "a.gz").write_bytes(content)
  assert main(["inspect", str(output), *words]) == status
  err = capsys.readouterr().err
  assert told in err
  assert err.count("\n") == status


def test_what_was_left_is_listed_and_goes(output, capsys):
  make(output)
  (output / "notes.txt").write_bytes(b"mine")
  left = leave(output)
  other = left.with_name(".out.staging-000000-01234567")  # another machine's
  other.mkdir()
  status, facts = ask(capsys, "inspect", output)
  assert (status, facts["other_files"]) == (0, ["notes.txt"])
  assert {one["state"] for one in facts["left_behind"]} == {"left", "unknown"}
  status, told = ask(capsys, "clean", output, "--dry-run")
  assert (status, told["removed"][0]["place"]) == (0, str(left))
  assert left.is_dir()
  status, told = ask(capsys, "clean", output)
  assert (status, len(told["removed"]), len(told["kept"])) == (0, 1, 1)
  assert sorted(os.listdir(output.parent)) == [other.name, "out"]
  assert sorted(os.listdir(output)) == ["a.gz", "manifest.json", "notes.txt"]
  assert main(["clean", str(output)]) == 0
  assert capsys.readouterr().out.startswith("kept")


def test_a_place_without_a_set_says_what_is_left_of_one(output, capsys):
  output.parent.mkdir()
  leave(output)
  status, facts = ask(capsys, "inspect", output)
  assert (status, facts["state"], len(facts["left_behind"])) == (1, "absent", 1)
  assert main(["inspect", str(output)]) == 1
  assert "`hardmine clean` removes it" in capsys.readouterr().err
  assert main(["clean", str(output)]) == 0
  assert "removed 1 files" in capsys.readouterr().out
  assert main(["clean", str(output)]) == 0
  assert capsys.readouterr().out == "nothing was left behind\n"
  assert os.listdir(output.parent) == []


def test_a_set_that_was_moved_aside_is_put_back(output, capsys):
  make(output)
  os.rename(output, f"{leave(output)}{ASIDE}")
  _, facts = ask(capsys, "inspect", output)
  assert {one["state"] for one in facts["left_behind"]} == {"left", "aside"}
  assert main(["clean", str(output)]) == 0
  assert "put back" in capsys.readouterr().out
  assert main(["inspect", str(output)]) == 0
  assert os.listdir(output.parent) == ["out"]


def test_a_folder_and_a_url_without_a_set(output, capsys):
  output.mkdir(parents=True)
  for place in (str(output), "memory://nowhere/out"):
    assert main(["inspect", place]) == 1
    assert "holds no set" in capsys.readouterr().err
    assert main(["clean", place]) == 0
