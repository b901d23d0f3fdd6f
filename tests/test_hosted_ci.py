"""The workflow for the world outside: its lanes are ours, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from hardmine.pipelines.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
GLIBC = {"ubuntu-22.04": (2, 35), "ubuntu-24.04": (2, 39)}
NEWEST, NEEDED = "tfx-1.21", (2, 39)  # as the Makefile asks
JOBS = WORKFLOW["jobs"]


def runs():
  return [
    step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step
  ]


def test_the_lanes_are_those_of_the_lock_files():
  lanes = {path.stem for path in (ROOT / "requirements").glob("*.lock")}
  for name in ("test", "image"):
    rows = JOBS[name]["strategy"]["matrix"]["include"]
    assert {row["lane"] for row in rows} == lanes


@pytest.mark.parametrize(
  "row", JOBS["test"]["strategy"]["matrix"]["include"], ids=lambda row: row["lane"]
)
def test_a_system_can_install_its_lane(row):
  assert (GLIBC[row["os"]] >= NEEDED) == (row["lane"] == NEWEST)
  (new, old) = re.findall(r"PYTHON_VERSION := .*,(3\.\d+),(3\.\d+)\)", MAKEFILE)[0]
  assert row["python"] == (new if row["lane"] == NEWEST else old)


@pytest.mark.parametrize("command", sorted(set(runs())))
def test_its_commands_exist(command):
  program, *words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "", command))
  if program == "make":
    targets = re.findall(r"^([\w-]+):", MAKEFILE, re.M)
    assert set(words) <= set(targets)
  elif program == "docker":
    assert (ROOT / "Dockerfile").exists()
  else:
    assert program == ".venv/bin/hardmine"
    assert words[0] in COMMANDS


def test_it_runs_what_the_readme_says():
  readme = (ROOT / "README.md").read_text("utf-8")
  told = set(re.findall(r"^(make \w+) ", readme, re.M))
  assert {"make demo", "make test"} <= told
  assert told - set(runs()) == set()
  assert "make lint" in runs()


def test_images_are_built_with_arguments_of_the_dockerfile():
  known = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
  for row in JOBS["image"]["strategy"]["matrix"]["include"]:
    arguments = dict(re.findall(r"--build-arg (\w+)=(\S+)", row["arguments"]))
    assert set(arguments) <= set(known)
    assert arguments["LANE"] == row["lane"]


def test_every_job_ends():
  for job in JOBS.values():
    assert job["timeout-minutes"] <= 180
