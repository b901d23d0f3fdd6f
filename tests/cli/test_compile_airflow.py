"""`hardmine compile --for airflow`: the file, what it may replace, what is refused."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import codec_demo

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


@pytest.mark.slow
def test_a_users_own_experiment_becomes_a_dag(tmp_path):
  mine = tmp_path / "it's mine"
  mine.mkdir()
  shutil.copy(codec_demo.__file__, mine / "own.py")
  words = ["compile", "own.py", "--for", "airflow", "--root", "runs/a root"]
  options = [
    *("--set", "training.steps=100", "--workers", "2", "--training-pool", "gpus"),
    *("--metadata", "mysql://me@db/runs", "--param", "evaluation.iterations"),
    *("--schedule", "@weekly", "--promote", "production", "--hardmine", "/opt/mine"),
  ]
  # One process for two files: it imports TFX once.
  code = (
    "import json, sys; from hardmine.pipelines.cli.main import main; "
    "sys.exit(any([main(words) for words in json.loads(sys.argv[1])]))"
  )
  both = [[*words, *options, "--output", name] for name in ("dag.py", "again.py")]
  done = subprocess.run(
    [sys.executable, "-c", code, json.dumps(both)],
    cwd=mine,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert "hardmine_codec_demo" in done.stdout
  found = settings_of(mine / "dag.py")
  edges = {node: sorted(upstream) for node, upstream in found["nodes"].items()}
  assert edges == CODEC_EDGES
  order = list(found["nodes"])  # as a DAG file makes them
  for node, upstream in found["nodes"].items():
    assert set(upstream) <= set(order[: order.index(node)])
  assert found["run"] == [
    *(str(mine / "own.py"), "--root", str(mine / "runs" / "a root")),
    *("--metadata", "mysql://me@db/runs", "--workers", "2"),
  ]
  assert found["assignments"] == ["training.steps=100"]
  assert found["working_dir"] == str(mine)
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
  assert (mine / "dag.py").read_bytes() == (mine / "again.py").read_bytes()
