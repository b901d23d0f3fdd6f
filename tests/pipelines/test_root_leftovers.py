"""`hardmine clean ROOT`: what goes by which rule, and what never does."""

import contextlib
import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments.codec_demo import TEST, photograph
from hardmine.pipelines.root_leftovers import Remain, Rules
from hardmine.schemas.folders import folder
from tests.s3_server import s3_server

LOG = "logs/run-20260101-000000-000000.log"


class Root:
  """A root with records, whose runs have one execution a node."""

  def __init__(self, path):
    self.path = path
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path / "metadata.sqlite")
    self.store = MetadataStore(config)
    self.contexts, self.kinds = {}, {}

  def run(self, name, node="Trainer", kind="Model", *, used=(), state=None, **facts):
    """One execution with one output; returns the artifact."""
    uses = [self._context("pipeline", "demo"), self._context("pipeline_run", name)]
    made = mlmd.Execution(
      type_id=self.store.put_execution_type(mlmd.ExecutionType(name=node)),
      last_known_state=state or mlmd.Execution.COMPLETE,
    )
    (number,) = self.store.put_executions([made])
    uri = self.path / "artifacts" / node / "out" / str(number)
    self.write(uri / "file", b"12345")
    artifact = mlmd.Artifact(
      type_id=self.store.put_artifact_type(mlmd.ArtifactType(name=kind)),
      uri=str(uri),
      state=mlmd.Artifact.LIVE,
    )
    for key, value in facts.items():
      field = "int_value" if isinstance(value, int) else "string_value"
      setattr(artifact.custom_properties[key], field, value)
    (artifact.id,) = self.store.put_artifacts([artifact])
    events = [(artifact.id, mlmd.Event.OUTPUT)]
    events += [(one.id, mlmd.Event.INPUT) for one in used]
    self.store.put_events(
      [mlmd.Event(artifact_id=i, execution_id=number, type=t) for i, t in events]
    )
    self.store.put_attributions_and_associations(
      [mlmd.Attribution(artifact_id=artifact.id, context_id=c) for c in uses],
      [mlmd.Association(execution_id=number, context_id=c) for c in uses],
    )
    return artifact

  def write(self, path, content, seconds_ago=0):
    path = self.path / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))

  def states(self):
    return {one.uri: one.state for one in self.store.get_artifacts()}

  def _context(self, kind, name):
    if (kind, name) not in self.contexts:
      type_id = self.store.put_context_type(mlmd.ContextType(name=kind))
      context = mlmd.Context(type_id=type_id, name=name)
      (self.contexts[kind, name],) = self.store.put_contexts([context])
    return self.contexts[kind, name]


def day(number):
  return f"2026-01-0{number}T00:00:00.000000"


@pytest.fixture
def root(tmp_path):
  return Root(tmp_path)


def clean(root, capsys, *words):
  status = main(["clean", str(root.path), "--json", *words])
  captured = capsys.readouterr()
  return status, json.loads(captured.out) if captured.out else captured.err


def in_one_process(folder, commands):
  """What each of several commands tells as JSON; TFX is imported once."""
  code = (
    "import contextlib, io, json, sys\n"
    "from hardmine.pipelines.cli.main import main\n"
    "told = []\n"
    "for words in json.loads(sys.argv[1]):\n"
    "  with contextlib.redirect_stdout(io.StringIO()) as said:\n"
    "    assert main(words) == 0, words\n"
    "  told.append(json.loads(said.getvalue()))\n"
    "print(json.dumps(told))\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, json.dumps(commands)],
    cwd=folder,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def gone(root, artifacts):
  return [not os.path.exists(one.uri) for one in artifacts]


def test_without_a_rule_nothing_goes(root, capsys):
  made = [root.run(day(number)) for number in (1, 2)]
  root.write(LOG, b"said")
  status, told = clean(root, capsys)
  assert (status, told["removed"], len(told["kept"])) == (0, [], 3)
  assert gone(root, made) == [False, False]


def test_outputs_of_old_runs_go_and_are_marked(root, capsys):
  old, reused, newest = (root.run(day(number)) for number in (1, 2, 3))
  root.run(day(3), node="Evaluator", kind="Report", used=[reused])
  root.write("artifacts/notes.txt", b"a user's")
  root.write("artifacts/Trainer/out/999/file", b"of no run")
  root.write("store/versions/1/model", b"pushed")
  status, told = clean(root, capsys, "--keep-runs", "1", "--dry-run")
  assert [one["place"] for one in told["removed"]] == [old.uri]
  assert gone(root, [old]) == [False]
  status, told = clean(root, capsys, "--keep-runs", "1")
  assert (status, told["num_bytes"]) == (0, 5)
  assert gone(root, [old, reused, newest]) == [True, False, False]
  states = root.states()
  assert states[old.uri] == mlmd.Artifact.DELETED
  assert states[reused.uri] == mlmd.Artifact.LIVE
  for name in ("artifacts/notes.txt", "artifacts/Trainer/out/999/file"):
    assert (root.path / name).exists()
  assert (root.path / "store/versions/1/model").exists()


def test_blessed_models_that_are_to_be_beaten_stay(root, capsys):
  models = []
  for number in (1, 2, 3):
    models.append(root.run(day(number)))
    root.run(
      day(number),
      node="Evaluator",
      kind="ModelBlessing",
      blessed=1,
      current_model_id=models[-1].id,
    )
  root.run(day(4))
  clean(root, capsys, "--keep-runs", "1")
  assert gone(root, models) == [True, False, False]


def test_a_root_that_was_moved_is_protected_too(root, capsys, tmp_path_factory):
  model = root.run(day(1))
  root.run(day(1), node="E", kind="ModelBlessing", blessed=1, current_model_id=model.id)
  old = root.run(day(2))
  root.run(day(3))
  moved = tmp_path_factory.mktemp("moved") / "root"
  os.rename(root.path, moved)
  root.path = moved
  _, told = clean(root, capsys, "--keep-runs", "1")
  assert [one["name"].rpartition("/")[2] for one in told["removed"]] == [
    old.uri.rpartition("/")[2]
  ]


def test_what_may_be_at_work_stays(root, capsys):
  running = root.run(day(1), state=mlmd.Execution.RUNNING)
  scheduled = root.run("manual__2026-01-02")
  root.run(day(3))
  clean(root, capsys, "--keep-runs", "1", "--older-than", "0m")
  assert gone(root, [running, scheduled]) == [False, False]


def test_a_root_that_a_run_holds_is_left_alone(root, capsys):
  old = root.run(day(1))
  root.run(day(2))
  with contextlib.closing(open(root.path / "lock", "a")) as lock:
    fcntl.flock(lock, fcntl.LOCK_SH)  # as nodes hold it
    status, line = clean(root, capsys, "--keep-runs", "1")
  assert status == 1
  assert "another run holds" in line
  assert gone(root, [old]) == [False]


def test_checkpoints_and_logs_go_by_name_and_age(root, capsys):
  root.run(day(1))
  for name, days in (("old", 40), ("new", 1)):
    root.write(f"checkpoints/demo/{name}/step", b"weights", days * 86_400)
  root.write(LOG, b"said", 40 * 86_400)
  root.write("logs/mine.txt", b"a user's", 40 * 86_400)
  clean(root, capsys, "--older-than", "30d", "--checkpoints")
  assert sorted(os.listdir(root.path / "checkpoints/demo")) == ["new"]
  assert (root.path / LOG).exists()
  clean(root, capsys, "--older-than", "30d", "--logs")
  assert os.listdir(root.path / "logs") == ["mine.txt"]


@pytest.mark.parametrize(
  ("words", "line"),
  [
    (["--older-than", "month"], "Expected --older-than as 30d"),
    (["--keep-runs", "0"], "Expected --keep-runs > 0"),
    (["--logs", "--metadata", "none.sqlite"], "--metadata says where they are"),
  ],
)
def test_what_says_nothing_is_one_line(root, capsys, words, line):
  root.run(day(1))
  status, told = clean(root, capsys, *words)
  assert status == 2
  assert line in told


def test_a_rule_of_roots_for_an_output_is_refused(tmp_path, capsys):
  assert main(["clean", str(tmp_path), "--logs"]) == 2
  assert "Expected --logs with a root" in capsys.readouterr().err


def test_an_age_that_is_unknown_is_not_old():
  one = Remain(
    kind="output", place="p", name="p", seconds=None, num_files=1, num_bytes=1, rank=9
  )
  assert not Rules(older_seconds=1.0).takes(one)
  assert Rules(keep_runs=8).takes(one)


@pytest.mark.slow
def test_a_run_after_cleaning_makes_anew_what_is_gone(tmp_path):
  def run(per_image):
    words = ["run", "codec_demo", "--to", "PatchGen", "--json"]
    words += ["--set", f"mining.images={json.dumps([*map(photograph, TEST)])}"]
    return [*words, "--set", f"mining.per_image={per_image}"]

  clean = ["clean", "runs/codec_demo", "--keep-runs", "1", "--json"]
  told = in_one_process(tmp_path, [run(4), run(5), clean, run(5), run(4)])
  removed = told.pop(2)["removed"]
  assert [one["kind"] for one in removed if one["kind"] == "output"] == ["output"]
  made = [one for run in told for one in run["nodes"] if one["node"] == "PatchGen"]
  assert [one["status"] for one in made] == ["ran", "ran", "reused", "ran"]
  why = made[-1]["why"]
  assert "its earlier output is gone" in why


def test_a_root_in_a_bucket(root, capsys, monkeypatch, tmp_path_factory):
  monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
  old, new = root.run(day(1)), root.run(day(2))
  root.write("store/versions/1/model", b"pushed")
  with s3_server("data"):
    place = folder("s3://data/root")
    for name in folder(root.path).tree():
      place.write(name, (root.path / name).read_bytes())
    assert main(["clean", place.url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["kept"]) == 2
    assert main(["clean", place.url, "--keep-runs", "1"]) == 0
    before = {os.path.relpath(one.uri, root.path) for one in (old, new)}
    left = place.tree()
    assert [name in left for name in (f"{one}/file" for one in sorted(before))] == [
      False,
      True,
    ]
    assert {"store/versions/1/model", "metadata.sqlite"} <= left
    assert "lock.json" not in left
    with place.local_copy("metadata.sqlite") as copy:  # the bucket's records know it
      config = mlmd.ConnectionConfig()
      config.sqlite.filename_uri = str(copy)
      states = {one.uri: one.state for one in MetadataStore(config).get_artifacts()}
    assert states[old.uri] == mlmd.Artifact.DELETED


def test_the_commands_of_the_page_do_what_it_says(tmp_path, monkeypatch, capsys):
  text = (Path(__file__).resolve().parents[2] / "docs" / "clean_up.md").read_text()
  found = re.findall(r"^```\n(.*?)^```$", text, re.S | re.M)
  commands = [shlex.split(line) for block in found for line in block.splitlines()]
  path = tmp_path / commands[0][-1]
  path.mkdir(parents=True)
  root = Root(path)
  made = [root.run(day(number)) for number in range(1, 6)]
  month = 31 * 86_400
  root.write("checkpoints/demo/old/step", b"weights", month)
  root.write(LOG, b"said", month)
  os.utime(os.path.join(made[2].uri, "file"), (0, 0))
  monkeypatch.chdir(tmp_path)
  expected = [  # which outputs are gone, whether an old log is there
    ([False] * 5, True),
    ([False] * 5, True),
    ([True, True, False, False, False], True),
    ([True, True, True, False, False], False),
  ]
  for (program, *words), (outputs, has_log) in zip(commands, expected, strict=True):
    assert (program, main(words)) == ("hardmine", 0)
    assert gone(root, made) == outputs
    assert os.path.exists(path / LOG) == has_log
  assert not os.path.exists(path / "checkpoints/demo/old")
  said = capsys.readouterr().out
  assert "nothing was removed" in said
  assert "would remove 2 files" in said
