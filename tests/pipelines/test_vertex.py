"""A compiled pipeline of Kubeflow's: its form, and what its own runner makes of it."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardmine.pipelines import codec
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import find
from hardmine.pipelines.orchestrators import pipeline_spec, vertex
from hardmine.pipelines.orchestrators.compiled import Request, offered_fields
from hardmine.pipelines.site import Site
from hardmine.schemas.class_names import forget_modules_in

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("kubeflow_runner.py")
IMAGE = "registry/hardmine:1"
EDGES = {node: (before,) for before, node in zip(codec.NODES, codec.NODES[1:])}
EDGES = {codec.NODES[0]: (), **EDGES, "Pusher": ("Trainer", "InfraCheck")}
# Stands for the image's Python: notes the task, and judges as it was told.
PYTHON = """#!/bin/sh
for word in "$@"; do
  case "$word" in
    --node=*) node=${word#*=} ;;
    --promote=*) node=Promote:${word#*=} ;;
    --set=training.steps=*) steps=${word##*=} ;;
    --blessed-file=*|--promoted-file=*) file=${word#*=} ;;
  esac
done
echo "$node $steps" >> "$ORDER"
[ "$node" != "$BROKEN" ] || exit 1
[ -z "$file" ] || { mkdir -p "$(dirname "$file")"
  [ "$node" = "$REFUSING" ] && printf false > "$file" || printf true > "$file"; }
"""


def options(*words):
  parser = argparse.ArgumentParser()
  vertex.add_arguments(parser)
  for name in ("--promote", "--retries", "--retry-delay-seconds"):
    parser.add_argument(name, type=str if name == "--promote" else int, default=2)
  parser.add_argument("--param", action="append", default=[])
  return parser.parse_args(["--image", IMAGE, *words])


def request(experiment, **changes):
  values = {
    "experiment": experiment,
    "reference": experiment.name,
    "assignments": (),
    "site": Site(root="gs://bucket/codec"),
    "metadata": "mysql://user@host/runs",
    "beam_words": (),
    "working_dir": "/",
    "program": "/bin/hardmine",
  }
  return Request(**{**values, **changes})


@pytest.fixture(scope="module")
def experiment():
  return find("codec_cpu")


@pytest.fixture(scope="module")
def spec(experiment):
  words = ["--accelerator", "NVIDIA_L4", "--trainer-cpu", "12", "--memory", "7.5G"]
  return vertex.specification(request(experiment), options(*words), EDGES)


def container(spec, node):
  executors = spec["deploymentSpec"]["executors"]
  return executors[f"exec-{pipeline_spec.slug(node)}"]["container"]


def test_every_node_is_a_task_that_waits_as_in_the_graph(spec):
  tasks = spec["root"]["dag"]["tasks"]
  inside = spec["components"]["comp-if-blessed"]["dag"]["tasks"]
  assert [task["taskInfo"]["name"] for task in tasks.values()] == [
    *codec.NODES[:-1],
    "if-blessed",
  ]
  for node, before in EDGES.items():
    slugs = [pipeline_spec.slug(name) for name in before]
    key = "if-blessed" if node == "Pusher" else pipeline_spec.slug(node)
    assert tasks[key].get("dependentTasks", []) == slugs
  assert set(inside) == {"pusher", "if-promoting"}
  assert f"--node={'Pusher'}" in container(spec, "Pusher")["args"]


def test_all_placeholders_name_inputs_of_their_task(spec):
  for name, component in spec["components"].items():
    if "executorLabel" not in component:
      continue
    text = " ".join(container(spec, name.removeprefix("comp-"))["args"])
    inputs = component["inputDefinitions"]["parameters"]
    outputs = component.get("outputDefinitions", {}).get("parameters", {})
    used = {part.split("']")[0] for part in text.split("{{$.inputs.parameters['")[1:]}
    made = {part.split("']")[0] for part in text.split("{{$.outputs.parameters['")[1:]}
    assert used == set(inputs)
    assert made == set(outputs)


def test_the_trainer_alone_has_its_machine(spec):
  machine = container(spec, "Trainer")["resources"]
  assert machine["accelerator"]["type"] == "NVIDIA_L4"
  assert machine["cpuLimit"] == 12.0
  for node in codec.NODES:
    if node != "Trainer":
      others = container(spec, node)["resources"]
      assert "accelerator" not in others
      assert others["resourceMemoryLimit"] == "7.5G"


def test_nothing_is_cached_and_everything_retried(spec):
  tasks = [*spec["root"]["dag"]["tasks"].values()]
  for task in tasks:
    if task["taskInfo"]["name"] != "if-blessed":
      assert task["cachingOptions"] == {}
      assert task["retryPolicy"]["maxRetryCount"] == 2


def test_parameters_have_the_defaults_of_the_experiment(experiment, spec):
  parameters = spec["root"]["inputDefinitions"]["parameters"]
  assert parameters["training_steps"] == {
    "parameterType": "NUMBER_INTEGER",
    "defaultValue": experiment.training.steps,
    "isOptional": True,
  }
  assert parameters["metadata"]["defaultValue"] == "mysql://user@host/runs"
  # As `--set` reads them, they change nothing.
  values = {
    path: parameters[path.replace(".", "_")]["defaultValue"]
    for path in offered_fields(experiment, [])
  }
  assert experiment.override([f"{k}={v}" for k, v in values.items()]) == experiment


def test_code_of_the_users_own_travels_along(tmp_path):
  (tmp_path / "own_cell.py").write_text(
    "from hardmine.trainers.codec.cells.gru import ConvGRUCell\n"
    "class OwnCell(ConvGRUCell):\n  pass\n"
  )
  (tmp_path / "mine.py").write_text(
    "import dataclasses\nfrom own_cell import OwnCell\n"
    "from hardmine.pipelines.experiments.codec_cpu import experiment as cpu\n"
    "def experiment():\n"
    "  made = cpu()\n"
    "  codec = dataclasses.replace(made.codec, cell=OwnCell)\n"
    "  return dataclasses.replace(made, codec=codec)\n"
  )
  experiment = find(str(tmp_path / "mine.py"))
  try:
    args = options()
    made = vertex.specification(request(experiment), args, EDGES)
    words = container(made, "Trainer")["args"]
    assert any(word.startswith("--own-file=own_cell.py=") for word in words)
    (tmp_path / "own_cell.py").write_text("#" * 100_000)
    with pytest.raises(ValueError, match="64000 bytes of code"):
      vertex.specification(request(experiment), args, EDGES)
  finally:
    forget_modules_in(tmp_path)
    sys.modules.pop("own_cell", None)


def test_files_that_no_container_sees_are_told(experiment):
  lines = vertex.told(request(experiment, metadata=None), options())
  assert "the nodes need one database" in lines[1]
  assert "evaluation.images=data/kodak/*.png, mining.images=data/photos/*" in lines[2]
  moved = experiment.override(
    ["mining.images=gs://b/*.jpg", "evaluation.images=@gs://b/list.txt"]
  )
  assert len(vertex.told(request(moved), options())) == 1


@pytest.mark.parametrize(
  ("words", "line"),
  [
    (["--root", "gs://b/r"], "Expected --image IMAGE"),
    (["--image", IMAGE], "Expected --root in a bucket"),
    (
      ["--image", IMAGE, "--root", "gs://b/r", "--metadata", "runs.sqlite"],
      "the containers share no disk",
    ),
    (["--image", IMAGE, "--root", "gs://b/r", "--memory", "much"], "memory, as 16G"),
    (["--image", IMAGE, "--root", "gs://b/r", "--accelerators", "0"], "> 0"),
  ],
)
def test_what_cannot_be_is_refused_before_tfx_is_imported(
  tmp_path, capsys, words, line
):
  output = str(tmp_path / "pipeline.json")
  status = main(["compile", "codec_cpu", "--for", "vertex", "--output", output, *words])
  assert status == 2
  assert line in capsys.readouterr().err
  assert not Path(output).exists()


def test_the_words_of_the_page_are_all_known(tmp_path, capsys, monkeypatch):
  page = (ROOT / "docs" / "run_on_vertex.md").read_text("utf-8")
  (command,) = re.findall(r"^```\nhardmine (compile .*)\n```$", page, re.M)
  monkeypatch.chdir(tmp_path)
  for name in ("photos/a.jpg", "kodak/a.png"):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
  words = command.replace("gs://BUCKET", str(tmp_path)).split()
  # Refused for its root alone: that comes last before TFX.
  assert main([word.strip("'") for word in words]) == 2
  assert "Expected --root in a bucket" in capsys.readouterr().err


@pytest.fixture(scope="module")
def kubeflow(tmp_path_factory):
  """An environment with `kfp`, which no lane has room for."""
  uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
  folder = tmp_path_factory.mktemp("kubeflow")
  kfp = pipeline_spec.SDK_VERSION.replace("-", "==")
  for words in (
    ["venv", "--quiet", "--python", sys.executable, str(folder)],
    ["pip", "install", "--quiet", "--python", str(folder / "bin/python"), kfp],
  ):
    done = subprocess.run([uv, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
  yield folder / "bin" / "python"
  shutil.rmtree(folder)


@pytest.fixture(scope="module")
def compiled_file(tmp_path_factory):
  path = tmp_path_factory.mktemp("compiled") / "pipeline.json"
  words = ["compile", "codec_demo", "--for", "vertex", "--output", str(path)]
  words += [
    "--image",
    IMAGE,
    "--root",
    "gs://bucket/demo",
    "--set",
    "training.steps=50",
  ]
  words += ["--retries", "1", "--retry-delay-seconds", "0"]
  assert main(words) == 0
  assert main(words) == 2  # it is there
  before = path.read_bytes()
  assert main([*words, "--overwrite"]) == 0
  assert path.read_bytes() == before
  return path


@pytest.mark.slow
@pytest.mark.parametrize(
  ("refusing", "broken", "promote", "last"),
  [
    ("", "", "best", "Promote:best "),
    ("CodecEvaluator", "", "best", "CodecEvaluator 50"),
    ("", "Trainer", "", "Trainer 50"),
  ],
)
def test_kubeflows_own_runner_runs_it(
  tmp_path, kubeflow, compiled_file, refusing, broken, promote, last
):
  program = tmp_path / "bin" / "python"
  program.parent.mkdir()
  program.write_text(PYTHON)
  program.chmod(0o755)
  parameters = json.dumps({"promote": promote})
  done = subprocess.run(
    [kubeflow, RUNNER, compiled_file, tmp_path / "out", parameters],
    env={
      **os.environ,
      "PATH": f"{program.parent}:{os.environ['PATH']}",
      "ORDER": str(tmp_path / "order"),
      "REFUSING": refusing,
      "BROKEN": broken,
    },
    capture_output=True,
    text=True,
  )
  order = (tmp_path / "order").read_text().splitlines()
  assert (done.returncode == 0) == (not broken), done.stderr
  assert order[-1] == last
  assert len(order) - len(set(order)) == (1 if broken else 0)  # tried again once
  if not broken:
    ran = [line.split(" ")[0] for line in order]
    assert set(codec.NODES) - set(ran) == ({"Pusher"} if refusing else set())
    assert ran.index("DataCheck") < ran.index("Trainer") < ran.index("InfraCheck")
