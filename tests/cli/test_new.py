"""`hardmine new`: a project that runs as it is written."""

import json
import subprocess
import sys

import pytest

from hardmine.pipelines.cli.main import main
from tests.cli.process import hardmine


def test_what_is_there_is_never_overwritten(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  assert main(["new", "mine"]) == 0
  before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
  assert {"experiment.py", "cells.py", "README.md", ".gitignore"} <= before.keys()
  assert main(["new", "mine"]) == 2
  assert "Expected a folder that is new or empty" in capsys.readouterr().err
  after = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
  assert after == before


@pytest.mark.parametrize("name", ["my project", "2nd", "a-b"])
def test_a_name_that_no_experiment_can_have_is_refused(tmp_path, capsys, name):
  assert main(["new", str(tmp_path / name)]) == 2
  assert "a name of letters" in capsys.readouterr().err
  assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_its_own_test_passes_and_it_runs(tmp_path):
  assert main(["new", str(tmp_path / "mine")]) == 0
  words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
  tested = subprocess.run(words, cwd=tmp_path / "mine", capture_output=True, text=True)
  assert tested.returncode == 0, tested.stdout
  done = hardmine(tmp_path / "mine", ["run", "experiment.py", "--json"])
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout)["blessed"] is True
