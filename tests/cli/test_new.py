"""`hardmine new`: projects that run as written, by the page that tells of them."""

import argparse
import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.cli.new import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "start_a_project.md"
# What is set behind the words of the page: the same story, but small.
SMALL = (
  *("mining.per_image=4", "codec.width=0.0625", "training.batch_size=2"),
  *("training.steps=2", "training.summary_steps=1", "training.iterations=1"),
  *("evaluation.iterations=1", "evaluation.max_images=1", "evaluation.gates.0.bound=0"),
)
# The tests of all projects, by one process, which imports TensorFlow once.
ALL_THEIR_TESTS = """
import os, sys, pytest
here = os.getcwd()
for project in sys.argv[1:]:
  os.chdir(os.path.join(here, project))
  sys.modules.pop("test_experiment", None)
  status = pytest.main(["-q", "-p", "no:cacheprovider"])
  if status:
    sys.exit(status)
"""


def blocks():
  """The page's commands, block by block and word by word."""
  found = re.findall(r"^```\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
  return [[shlex.split(line) for line in block.splitlines()] for block in found]


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
  """A folder where the page's projects are made."""
  folder = tmp_path_factory.mktemp("projects")
  for (program, command, name, *words), *_ in blocks()[:2]:
    assert (program, command) == ("hardmine", "new")
    assert main([command, str(folder / name), *words]) == 0
  return folder


def test_the_page_makes_every_kind(projects):
  made = {path.name for path in projects.iterdir()}
  assert made == {f"my_{kind}" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_whole_and_named(projects, kind):
  project = projects / f"my_{kind}"
  files = {path.name: path.read_text("utf-8") for path in project.iterdir()}
  assert {"experiment.py", "README.md", "Makefile", ".gitignore"} <= files.keys()
  for name, text in files.items():
    assert not re.search(r"\$[a-z{]", text), f"{name} has a gap"
    if name.endswith(".py"):
      ast.parse(text)
  assert f'name="my_{kind}"' in files["experiment.py"]
  for name in re.findall(r"`(\w+\.\w+)`", files["README.md"]):
    assert name in {*files, "report.html"}


@pytest.mark.parametrize("kind", KINDS)
def test_its_makefile_says_words_that_there_are(projects, kind):
  text = (projects / f"my_{kind}" / "Makefile").read_text("utf-8")
  commands = [shlex.split(one) for one in re.findall(r"^\thardmine (.*)", text, re.M)]
  assert [command for command, *_ in commands] == ["run", "compile", "clean"]
  for command, *words in commands:
    parser = argparse.ArgumentParser()
    module = importlib.import_module(f"hardmine.pipelines.cli.{command}")
    module.add_arguments(parser)
    parser.parse_args(words)  # SystemExit where one is unknown


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_never_overwritten(tmp_path, monkeypatch, capsys, kind):
  monkeypatch.chdir(tmp_path)
  words = ["new", "mine", "--kind", kind]
  assert main(words) == 0
  before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
  assert main(words) == 2
  assert "Expected a folder that is new or empty" in capsys.readouterr().err
  after = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
  assert after == before


@pytest.mark.parametrize("name", ["my project", "2nd", "a-b", "MyCodec"])
def test_a_name_that_no_experiment_can_have_is_refused(tmp_path, capsys, name):
  assert main(["new", str(tmp_path / name)]) == 2
  assert "a name of a-z, 0-9 and _" in capsys.readouterr().err
  assert list(tmp_path.iterdir()) == []


def test_what_it_says_to_do_next_can_be_pasted(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  assert main(["new", "a folder/mine"]) == 0
  _, _, told = capsys.readouterr().out.partition("; now: ")
  assert shlex.split(told)[:2] == ["cd", "a folder/mine"]


@pytest.mark.slow
def test_their_own_tests_pass(projects):
  words = [sys.executable, "-c", ALL_THEIR_TESTS, *(f"my_{kind}" for kind in KINDS)]
  done = subprocess.run(words, cwd=projects, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  assert done.stdout.count(" passed") == len(KINDS)


@pytest.mark.slow
def test_the_page_runs_a_codec(projects, monkeypatch, capfd):
  """In this process, which has imported TFX; others of a person's own are elsewhere."""
  (_, *commands), *_ = blocks()
  assert commands[:2] == [["cd", "my_codec"], ["pytest"]]
  program, *words = commands[2]
  assert program == "hardmine"
  settings = [word for one in SMALL for word in ("--set", one)]
  monkeypatch.chdir(projects / "my_codec")
  assert main([*words, *settings, "--json"]) == 0
  told = json.loads(capfd.readouterr().out)
  assert told["blessed"] is True
  assert Path(told["store"]) == projects / "my_codec" / "runs" / "my_codec" / "store"
