"""`hardmine run`: its words, its flags for one's own data, its exit codes.

What a run does is told in `tests/e2e`; here none starts, and TFX is not imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hardmine.pipelines import running
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import find
from hardmine.pipelines.outcome import Outcome
from hardmine.pipelines.runs import NodeRun, Run

NOTHING = {
  "reasons": (),
  "metrics": None,
  "report_path": None,
  "pushed_dir": None,
}


@pytest.fixture
def ran(monkeypatch):
  """What was asked to be run; its outcome is `ran.blessed`."""

  class Ran:
    blessed = True
    why = "it never ran before"

  def run_experiment(experiment, site, **options):
    Ran.experiment, Ran.site, Ran.options = experiment, site, options
    node = NodeRun(
      node="Trainer", status="ran", why=Ran.why, seconds=1.5, outputs={}, properties={}
    )
    outcome = Outcome(blessed=Ran.blessed, **NOTHING)
    return Run(run_id="1", nodes=(node,)), outcome

  monkeypatch.setattr(running, "run_experiment", run_experiment)
  return Ran


@pytest.fixture
def data(tmp_path, monkeypatch):
  """A folder to stand in, with photographs and annotations of both kinds."""
  for name in ("img/a.jpg", "test/b.jpg", "all.json", "test.json", "voc/a.xml"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
  (tmp_path / "empty").mkdir()
  monkeypatch.chdir(tmp_path)
  return tmp_path


def source(split="train", images="img", annotations="all.json"):
  return {"images": images, "annotations": annotations, "split": split}


@pytest.mark.parametrize(
  ("words", "settings"),
  [
    (
      "--images img --annotations all.json",
      {"sources": [source()], "eval_share": 0.1},
    ),
    (
      "--images img --annotations voc --eval-share 0.25",
      {"sources": [source(annotations="voc")], "eval_share": 0.25},
    ),
    (
      "--images img --annotations all.json --eval-images test --eval-annotations voc",
      {"sources": [source(), source("eval", "test", "voc")]},
    ),
    (
      "--images img --annotations all.json --eval-annotations test.json",
      {"sources": [source(), source("eval", "img", "test.json")]},
    ),
  ],
)
def test_a_detectors_own_data_are_the_same_as_long_settings(ran, data, words, settings):
  long = [f"conversion.{name}={json.dumps(value)}" for name, value in settings.items()]
  for name in ("ssd_small_set", "faster_rcnn_small_set", "rfcn_small_set"):
    assert main(["run", name, *words.split()]) == 0
    assert ran.experiment.to_json() == find(name).override(long).to_json()


def test_a_codecs_own_photographs_are_the_same_as_long_settings(ran, data):
  words = ["--images", "img/*.jpg", "test/*", "--eval-images", "test/*.jpg"]
  assert main(["run", "codec_cpu", *words]) == 0
  expected = find("codec_cpu").override(
    ['mining.images=["img/*.jpg", "test/*"]', 'evaluation.images=["test/*.jpg"]']
  )
  assert ran.experiment.to_json() == expected.to_json()


def test_settings_come_behind_the_flags(ran, data):
  words = "--images img --annotations all.json --set conversion.sources.0.only=l.txt"
  assert main(["run", "ssd_small_set", *words.split()]) == 0
  assert ran.experiment.conversion.sources[0].only == "l.txt"


@pytest.mark.parametrize(
  ("experiment", "words", "line"),
  [
    ("codec_cpu", "--annotations all.json", "all that a codec such as codec_cpu takes"),
    ("codec_cpu", "--eval-share 0.1", "all that a codec such as codec_cpu takes"),
    ("codec_cpu", "--images none/*", "none/*"),
    ("codec_cpu", "--eval-images empty", "empty"),
    ("ssd_small_set", "--images img", "--images and --annotations together"),
    ("ssd_small_set", "--annotations voc", "--images and --annotations together"),
    ("ssd_small_set", "--eval-share 0.1", "--images and --annotations together"),
    ("ssd_small_set", "--images none --annotations voc", "images='none'"),
    ("ssd_small_set", "--images empty --annotations voc", "images='empty'"),
    ("ssd_small_set", "--images img --annotations no.json", "annotations='no.json'"),
    ("ssd_small_set", "--images img --annotations img", "*.xml"),
    ("ssd_small_set", "--images img test --annotations voc", "one folder of images"),
    (
      "ssd_small_set",
      "--images img --annotations voc --eval-images test",
      "--eval-annotations with --eval-images",
    ),
    (
      "ssd_small_set",
      "--images img --annotations voc --eval-share 0.2 --eval-annotations test.json",
      "either --eval-share, or",
    ),
    (
      "ssd_small_set",
      "--images img --annotations voc --eval-share 1",
      "a share between 0 and 1",
    ),
    ("codec_cpu", "--to NOPE", "Expected a node among PatchGen, "),
    ("ssd_small_set", "--from NOPE", "Expected a node among CocoGen, "),
    ("codec_cpu", "--set training.step=5", "a field among "),
    (
      "codec_cpu",
      "--set codec.cell=trainers.codec.cells.gru:annotations",
      "a class that exists",
    ),
    ("codec_cpu", "--root run[1]", "without '['"),
  ],
)
def test_wrong_words_are_refused_before_anything_runs(
  experiment, words, line, data, capsys
):
  imported = "tfx" in sys.modules  # by another test of this process
  assert main(["run", experiment, *words.split()]) == 2
  answer = capsys.readouterr().err
  assert line in answer
  assert len(answer.splitlines()) == 1
  assert ("tfx" in sys.modules) is imported
  assert not (data / "runs").exists()


@pytest.mark.parametrize(
  ("blessed", "words", "status"),
  [
    (True, [], 0),
    (False, [], 0),
    (True, ["--require-blessing"], 0),
    (False, ["--require-blessing"], 3),
  ],
)
def test_a_worse_model_is_told_by_its_own_status_where_one_asks(
  ran, tmp_path, monkeypatch, blessed, words, status
):
  monkeypatch.chdir(tmp_path)
  ran.blessed = blessed
  assert main(["run", "codec_cpu", *words]) == status


def test_a_node_that_failed_is_told_by_another_status(monkeypatch, tmp_path, capsys):
  from hardmine.pipelines.orchestrators.node_launcher import NodeFailed

  def fail(*args, **options):
    raise NodeFailed("InfraCheck", "the model could not be asked; log: run.log")

  monkeypatch.setattr(running, "run_experiment", fail)
  monkeypatch.chdir(tmp_path)
  assert main(["run", "codec_cpu", "--require-blessing"]) == 1
  assert "InfraCheck failed: the model could not be asked" in capsys.readouterr().err


def test_the_help_names_every_exit_code(capsys):
  assert main(["run", "--help"]) == 0
  codes = capsys.readouterr().out.partition("exit codes:")[2].splitlines()
  assert [line.split()[0] for line in codes if line[2:3].isdigit()] == [
    *"0123",
    "128+n",
  ]


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["--node", "Trainer"], "--node and --run-id together"),
    (["--run-id", "7"], "--node and --run-id together"),
    (["--node", "Trainer", "--run-id", "7", "--to", "Pusher"], "without --from, --to"),
    (["--node", "Trainer", "--run-id", "7", "--require-blessing"], "without --from"),
    (["--node", "Trainers", "--run-id", "7"], "Expected a node among PatchGen, Stat"),
    (["--node", "Trainer", "--run-id", "a\nb"], "1 to 200 printable characters"),
    (["--node", "Trainer", "--run-id", "x" * 201], "1 to 200 printable characters"),
    (
      ["--node", "Trainer", "--run-id", "7", "--root", "s3://bucket/root"],
      "a database for the records of a root in a bucket",
    ),
    (["--metadata", "mysql://ann:secret@host"], "mysql://USER:PASSWORD@HOST"),
  ],
)
def test_words_about_one_node_are_checked_before_any_work(
  tmp_path, monkeypatch, capsys, words, said
):
  monkeypatch.chdir(tmp_path)
  assert main(["run", "codec_cpu", *words]) == 2
  error = capsys.readouterr().err
  assert said in error
  assert "secret" not in error
  assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
  ("node", "blessed", "pushed_dir", "status"),
  [
    ("Trainer", None, None, 0),
    ("CodecEvaluator", None, None, 0),
    ("CodecEvaluator", False, None, 3),
    ("InfraCheck", False, None, 3),
    ("Pusher", None, "store/versions/1", 0),
    ("Pusher", None, None, 3),
  ],
)
def test_one_node_tells_by_its_status_what_a_scheduler_is_to_do(
  monkeypatch, tmp_path, node, blessed, pushed_dir, status
):
  outcome = Outcome(
    blessed=blessed, reasons=(), metrics=None, report_path=None, pushed_dir=pushed_dir
  )
  asked = []

  def run_one(experiment, site, *words, **options):
    asked.append((site.store_url, site.metadata_place, *words))
    return Run(run_id="7", nodes=()), outcome

  monkeypatch.setattr(running, "run_experiment_node", run_one)
  monkeypatch.setenv("HARDMINE_METADATA", "mysql://ann:secret@host/records")
  monkeypatch.chdir(tmp_path)
  words = ["--node", node, "--run-id", "7", "--store", "s3://models/store"]
  assert main(["run", "codec_cpu", *words]) == status
  assert asked == [("s3://models/store", "mysql://ann:secret@host/records", node, "7")]


def test_reasons_are_whole_and_not_padded_in_a_pipe(ran, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  ran.why = "training.steps changed 1 -> 2; " * 10
  assert main(["run", "codec_cpu"]) == 0
  rows = capsys.readouterr().out.splitlines()[1:3]
  assert rows == [
    "node          seconds  why",
    f"Trainer  ran      1.5  {ran.why.strip()}",
  ]


def test_the_first_line_comes_before_anything_is_imported(tmp_path):
  code = """
import builtins, sys
say = print
def say_with_modules(*words, **options):
  say(*words, *{"keras", "tensorflow", "tfx"} & set(sys.modules), **options)
builtins.print = say_with_modules
from hardmine.pipelines.cli.main import run; run()
"""
  with subprocess.Popen(
    [sys.executable, "-c", code, "run", "codec_cpu", "--root", "a*"],
    cwd=tmp_path,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  ) as process:
    assert process.stdout is not None
    assert process.stdout.readline() == "reading the experiment codec_cpu ...\n"
    process.kill()
