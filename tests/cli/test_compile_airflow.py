"""`hardmine compile --for airflow`: the file, what it may replace, what is refused."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import codec_demo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "schedule_on_airflow.md"
CODEC_EDGES = {
  "PatchGen": [],
  "ImportSchemaGen": [],
  "StatisticsGen": ["PatchGen"],
  "ExampleValidator": ["ImportSchemaGen", "StatisticsGen"],
  "DataCheck": ["ExampleValidator"],
  "Trainer": ["DataCheck", "PatchGen"],
  "InfraCheck": ["Trainer"],
  "Rival": ["Trainer"],
  "CodecEvaluator": ["InfraCheck", "PatchGen", "Rival", "Trainer"],
  "Pusher": ["CodecEvaluator", "InfraCheck", "PatchGen", "Trainer"],
}
WORDS = ("compile", "codec_demo", "--for", "airflow")


def settings_of(path):
  """The block of settings of a DAG file."""
  for node in ast.parse(path.read_text("utf-8")).body:
    if (
      isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SETTINGS"
    ):
      return ast.literal_eval(node.value)
  raise AssertionError("no settings")


@pytest.mark.parametrize(
  ("words", "told"),
  [
    (("--metadata", "mysql://me:secret@db/runs"), "HARDMINE_METADATA"),
    (("--beam", "direct", "--dag_idd=x"), "Expected an argument of this command"),
    (("--workers", "0"), "workers=0"),
    (("--hardmine", ""), "a path behind --hardmine"),
  ],
  ids=["password", "misspelt", "workers", "program"],
)
def test_what_cannot_be_meant_is_refused_before_any_long_work(
  tmp_path, capsys, words, told
):
  output = tmp_path / "dag.py"
  assert main([*WORDS, "--output", str(output), *words]) == 2
  said = capsys.readouterr().err
  assert told in said
  assert "secret" not in said
  assert not output.exists()


@pytest.mark.parametrize("flags", [(), ("--overwrite",)], ids=["plain", "overwrite"])
def test_a_file_of_somebody_else_stays(tmp_path, capsys, flags):
  output = tmp_path / "dag.py"
  output.write_text("from airflow import DAG\n")
  assert main([*WORDS, "--output", str(output), *flags]) == 2
  wanted = "edited by nobody" if flags else "--overwrite"
  assert wanted in capsys.readouterr().err
  assert output.read_text() == "from airflow import DAG\n"


def test_only_the_run_of_one_experiment_can_be_meant(tmp_path, capsys):
  words = ["compile", "no_such", "--for", "airflow", "--output", str(tmp_path / "x.py")]
  assert main(words) == 2
  assert "codec_demo" in capsys.readouterr().err


def page_commands():
  """The words of the page's commands, which are to be run as they stand."""
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
  """A folder with a DAG of a user's own experiment, twice, and those of the page.

  One process wrote all of them, for it imports TFX once.
  """
  folder = tmp_path_factory.mktemp("compiled") / "it's mine"
  (folder / "dags").mkdir(parents=True)
  shutil.copy(codec_demo.__file__, folder / "own.py")
  own = [
    *("compile", "own.py", "--for", "airflow", "--root", "runs/a root"),
    *("--set", "training.steps=100", "--workers", "2", "--training-pool", "gpus"),
    *("--metadata", "mysql://me@db/runs", "--param", "evaluation.iterations"),
    *("--schedule", "@weekly", "--promote", "production", "--hardmine", "/opt/mine"),
  ]
  all_words = [[*own, "--output", name] for name in ("dag.py", "again.py")]
  code = (
    "import json, sys; from hardmine.pipelines.cli.main import main; "
    "sys.exit(any([main(words) for words in json.loads(sys.argv[1])]))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, json.dumps([*all_words, *page_commands()])],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert "hardmine_codec_demo" in done.stdout
  return folder


@pytest.mark.slow
def test_a_users_own_experiment_becomes_a_dag(compiled):
  found = settings_of(compiled / "dag.py")
  edges = {node: sorted(upstream) for node, upstream in found["nodes"].items()}
  assert edges == CODEC_EDGES
  order = list(found["nodes"])  # as a DAG file makes them
  for node, upstream in found["nodes"].items():
    assert set(upstream) <= set(order[: order.index(node)])
  assert found["run"] == [
    *(str(compiled / "own.py"), "--root", str(compiled / "runs" / "a root")),
    *("--metadata", "mysql://me@db/runs", "--workers", "2"),
  ]
  assert found["assignments"] == ["training.steps=100"]
  assert found["working_dir"] == str(compiled)
  assert found["program"] == "/opt/mine"
  assert found["schedule"] == "@weekly"
  assert found["alias"] == "production"
  assert found["training_pool"] == "gpus"
  assert found["params"]["training.steps"] == {
    "default": 100,
    "schema": {"type": "integer"},
  }
  assert "evaluation.iterations" in found["params"]
  assert found["records"] is None  # the database has them
  assert (compiled / "dag.py").read_bytes() == (compiled / "again.py").read_bytes()


@pytest.mark.slow
def test_the_pages_commands_write_what_it_says(compiled):
  first, weekly, cluster = (
    settings_of(compiled / words[words.index("--output") + 1])
    for words in page_commands()
  )
  assert first["dag_id"] == "hardmine_codec_demo"
  assert first["records"] == str(compiled / "runs" / "codec_demo" / "metadata.sqlite")
  assert (weekly["schedule"], weekly["retries"]) == ("0 3 * * 1", 3)
  assert cluster["program"] == "/opt/hardmine/bin/hardmine"
  assert cluster["promote"][:2] == ["--store", "s3://bucket/runs/codec_demo/store"]
  for settings in (first, weekly, cluster):
    assert {name: sorted(up) for name, up in settings["nodes"].items()} == CODEC_EDGES
