"""The codec pipeline from photographs to a pushed model, as `hardmine run` runs it.

One process and one root for the whole story, because TFX takes half a minute to
import and the runs build on each other. The photographs are crops of those that
ship inside scikit-image.
"""

import contextlib
import copy
import dataclasses
import fcntl
import itertools
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from hardmine.components import infra_check
from hardmine.pipelines.beam_runners import direct
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import names
from hardmine.pipelines.orchestrators.node_launcher import NodeFailed
from hardmine.pipelines.running import run_experiment
from hardmine.pipelines.site import Site
from hardmine.schemas.gates import Gate
from hardmine.serving.probe.sandbox import Outcome
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.codec.streams import bitstream
from tests.e2e.tiny_codec import crop, tiny_experiment

DOWNSTREAM_OF_GATES = {"CodecEvaluator", "Pusher"}


class Story:
  """A root with photographs, and every run made in it."""

  def __init__(self, folder: Path):
    self.root = str(folder / "root")
    self.experiment = tiny_experiment(folder, min_improvement=0.0)
    self.photos = folder / "photos"
    self.lines: list[str] = []

  def run(self, *assignments: str, workers: int = 1, **options):
    self.lines = []
    return run_experiment(
      self.experiment.override(list(assignments)),
      Site(root=self.root, beam_arguments=direct(workers)),
      say=self.lines.append,
      **options,
    )

  def versions(self) -> list[int]:
    return ModelStore(Path(self.root, "store")).versions()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
  return Story(tmp_path_factory.mktemp("codec"))


@pytest.fixture(scope="module")
def first(story):
  return story.run()


def verdict_of(done) -> dict:
  (path,) = [
    path
    for uris in done.node("CodecEvaluator").outputs.values()
    for uri in uris
    for path in Path(uri).rglob("verdict.json")
  ]
  return json.loads(path.read_text())


def test_first_run_runs_every_node_and_pushes_a_model_that_works(story, first):
  from hardmine.serving.probe.infra_probe import probe

  done, outcome = first
  assert {node.status for node in done.nodes} == {"ran"}
  assert outcome.blessed is True
  assert verdict_of(done)["passed"] is True
  assert Path(outcome.pushed_dir).parent == Path(story.root, "store", "versions")
  assert Path(outcome.report_path).is_file()
  assert 0 < outcome.metrics["ms_ssim_auc"] < 1.875
  assert probe_answers(outcome.pushed_dir, probe)


def probe_answers(model_dir: str, probe) -> bool:
  # TFX is loaded in this process, which the probe refuses for a server's sake.
  try:
    probe(model_dir)
  except RuntimeError as error:
    return str(error).startswith("serving the model imported")
  return True


def test_second_run_reuses_every_node_and_says_from_which_run(story, first):
  """Whatever the number of workers."""
  done, outcome = story.run(workers=2)
  statuses = {node.node: node.status for node in done.nodes}
  assert statuses.pop("Rival") == "ran"  # a resolver is never reused, only cheap
  assert set(statuses.values()) == {"reused"}
  shown = first[0].run_id[:19].replace("T", " ")
  assert done.node("Trainer").why == f"same settings and inputs as in run {shown}"
  assert outcome.blessed is True
  assert len(story.versions()) == 1


def test_changed_gate_measures_again_but_does_not_train_or_push(story, first):
  gate = Gate(metric="ms_ssim_auc", bound=1.9).to_json()
  done, outcome = story.run(f"evaluation.gates=[{gate}]")
  ran = {node.node for node in done.nodes if node.status == "ran"} - {"Rival"}
  assert ran == DOWNSTREAM_OF_GATES
  assert "gates" in done.node("CodecEvaluator").why
  assert outcome.blessed is False
  assert "must be at least 1.9000" in outcome.reasons[0]
  assert verdict_of(done)["passed"] is False
  assert outcome.pushed_dir is None
  assert len(story.versions()) == 1


def test_stopping_early_runs_no_later_node_and_names_the_changed_setting(story, first):
  done, outcome = story.run("mining.per_image=7", to_node="PatchGen")
  assert [node.node for node in done.nodes][-1] == "PatchGen"
  assert done.node("PatchGen").why == "mining.per_image changed 8 -> 7"
  assert outcome.blessed is None


def test_starting_late_takes_over_what_earlier_runs_left(story, first):
  done, outcome = story.run(from_node="CodecEvaluator")
  assert done.node("Trainer").why.startswith("taken over from run ")
  assert outcome.blessed is True


@pytest.fixture(scope="module")
def moved(story, first):
  """A copy of the root as it is after some runs."""
  elsewhere = copy.copy(story)
  elsewhere.root = str(Path(story.root).with_name("moved é"))
  shutil.copytree(story.root, elsewhere.root)
  return elsewhere


@contextlib.contextmanager
def out_of_reach(root: str):
  """As if a root had been moved, and not copied."""
  hidden = Path(root).with_name("hidden")
  Path(root).rename(hidden)
  try:
    yield
  finally:
    hidden.rename(root)


def model_dir_of(done) -> Path:
  (uri,) = done.node("Trainer").outputs["model"]
  return Path(uri)


@pytest.mark.slow
def test_a_moved_root_goes_on_with_what_lies_in_it(story, moved):
  with out_of_reach(story.root):
    done, outcome = moved.run("training.seed=1")
  assert f"left in {story.root} is used from {moved.root}" in "\n".join(moved.lines)
  assert done.node("PatchGen").status == "reused"
  assert done.node("StatisticsGen").why == f"the root was moved from {story.root}"
  assert done.node("Rival").why.startswith("found the blessed model of run ")
  (result,) = verdict_of(done)["results"]
  assert result["baseline"] is not None
  assert outcome.pushed_dir is None or outcome.pushed_dir.startswith(moved.root)


@pytest.mark.slow
def test_a_moved_root_resumes_to_the_same_model_and_then_reuses_it(story, first, moved):
  with out_of_reach(story.root):
    done, outcome = moved.run()
    again, _ = moved.run()
  # The latest other one, and not the same model under its earlier name.
  assert outcome.blessed is True, outcome.reasons
  assert outcome.pushed_dir.startswith(moved.root)
  assert model_dir_of(done).is_relative_to(moved.root)
  store = ModelStore(outcome.store)
  model_ids = [store.version(n).model_id for n in (1, outcome.pushed_version)]
  assert model_ids[0] == model_ids[1]
  assert {node.status for node in again.nodes if node.node != "Rival"} == {"reused"}


@pytest.mark.slow
def test_a_push_is_reused_only_while_it_is_there(moved):
  assert moved.run()[0].node("Pusher").status == "reused"
  shutil.rmtree(Path(moved.root, "store"))
  done, outcome = moved.run()
  lost = f"its earlier output is gone: {moved.root}/store/versions/"
  assert done.node("Pusher").why.startswith(lost)
  assert moved.versions() == [1]
  assert Path(outcome.pushed_dir, "saved_model.pb").is_file()
  assert outcome.candidate_version == 1
  assert {node.status for node in done.nodes if node.node == "Trainer"} == {"reused"}


@pytest.mark.slow
def test_a_rival_that_was_cleaned_away_comes_from_the_store(moved):
  done, _ = moved.run()
  shutil.rmtree(model_dir_of(done))
  with pytest.raises(ValueError, match=r"Trainer/model/\d+, .*run without --from"):
    moved.run(from_node="CodecEvaluator")
  again, _ = moved.run("training.seed=1")
  assert again.node("Trainer").status == "reused"
  (result,) = verdict_of(again)["results"]
  assert result["baseline"] is not None
  assert model_dir_of(done).is_dir()


@pytest.mark.slow
def test_a_rival_that_is_nowhere_is_a_failure_with_its_remedy(moved):
  kept = model_dir_of(moved.run("training.seed=1")[0])
  for model_dir in set(kept.parent.iterdir()) - {kept}:
    shutil.rmtree(model_dir)
  shutil.rmtree(Path(moved.root, "store"))
  with pytest.raises(NodeFailed, match=r"CodecEvaluator failed: .* is gone") as caught:
    moved.run("training.seed=1", "evaluation.iterations=1", from_node="Trainer")
  assert "--set evaluation.gates.0.min_improvement=null" in str(caught.value)


@pytest.mark.slow
def test_outputs_without_their_records_end_the_command_with_what_to_do(
  moved, tmp_path, capfd
):
  Path(moved.root, "metadata.sqlite").unlink()
  path = tmp_path / "tiny.json"
  path.write_text(moved.experiment.to_json())
  assert main(["run", str(path), "--root", moved.root]) == 1
  (line,) = capfd.readouterr().err.splitlines()
  assert "metadata.sqlite, which knows what they are, is not there" in line


def test_another_photograph_mines_again(story, first):
  crop("chelsea.png", story.photos / "another.png")
  try:
    done, _ = story.run(to_node="PatchGen")
  finally:
    (story.photos / "another.png").unlink()
  assert done.node("PatchGen").status == "ran"
  assert done.node("PatchGen").why == "the input files changed"


def test_failing_node_is_named_with_its_cause_and_the_log(story, first):
  no_weights = f"training.initial_weights={story.photos}/astronaut.png"
  with pytest.raises(NodeFailed, match=r"^Trainer failed: .*; log: ") as caught:
    story.run(no_weights, from_node="Trainer", to_node="Trainer")
  log = Path(str(caught.value).rpartition("log: ")[2])
  assert "Traceback" in log.read_text()


def test_interrupted_training_resumes_where_it_was(story, first, capfd):
  settings = ("training.steps=40", "training.checkpoint_steps=10")
  part = {"from_node": "Trainer", "to_node": "Trainer"}
  checkpoints = Path(story.root, "checkpoints", "tiny")
  before = set(checkpoints.rglob("step-*.npz"))

  def stop_after_a_checkpoint():
    deadline = time.monotonic() + 120
    while set(checkpoints.rglob("step-*.npz")) == before:
      if time.monotonic() > deadline:
        break
      time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)

  watcher = threading.Thread(target=stop_after_a_checkpoint)
  watcher.start()
  with pytest.raises(SystemExit):
    story.run(*settings, **part)
  watcher.join()
  assert story.lines[-1] == (
    "interrupted in Trainer; the same command goes on, a training from its last "
    "checkpoint"
  )
  capfd.readouterr()
  done, _ = story.run(*settings, **part)
  assert done.node("Trainer").why.endswith("did not get through it")
  assert "resum" in capfd.readouterr().out


def test_two_runs_in_one_root_are_refused(story, first):
  with open(Path(story.root, "lock"), "a") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(RuntimeError, match="another run holds"):
      story.run()


def test_command_prints_the_outcome_as_json(story, first, tmp_path, capfd):
  path = tmp_path / "tiny.json"
  path.write_text(story.experiment.to_json())
  assert main(["run", str(path), "--root", story.root, "--json"]) == 0
  answer = json.loads(capfd.readouterr().out)
  assert answer["blessed"] is True
  assert {node["node"]: node["status"] for node in answer["nodes"]}["Trainer"] == (
    "reused"
  )


def test_command_refuses_an_unknown_node_with_status_2(story, first, tmp_path, capfd):
  path = tmp_path / "tiny.json"
  path.write_text(story.experiment.to_json())
  assert main(["run", str(path), "--root", story.root, "--to", "Trainor"]) == 2
  assert "Expected a node among" in capfd.readouterr().err


def test_a_check_that_could_not_ask_is_a_failure_and_is_asked_again(
  story, first, monkeypatch
):
  died = Outcome(
    passed=False,
    reason="ImportError: cannot import name 'SystemRandom' from 'random'",
    last_line="",
    seconds=1,
    peak_bytes=0,
  )
  answered = dataclasses.replace(died, passed=True, reason="answered", last_line="{}")
  monkeypatch.setattr(infra_check, "ask", lambda *args, **options: died)
  for (blessing,) in first[0].node("InfraCheck").outputs.values():
    shutil.rmtree(blessing)
  with pytest.raises(
    NodeFailed, match=r"^InfraCheck failed: .* says nothing of it: Imp"
  ):
    story.run(to_node="InfraCheck")
  monkeypatch.setattr(infra_check, "ask", lambda *args, **options: answered)
  done, _ = story.run(to_node="InfraCheck")
  assert done.node("InfraCheck").why.startswith("it failed in run ")


def words_of(*assignments):
  return [word for assignment in assignments for word in ("--set", assignment)]


@pytest.mark.slow
def test_a_network_of_2015_becomes_a_codec_by_the_command(tmp_path, capfd):
  tiny = tiny_experiment(tmp_path)
  (image,) = tiny.evaluation.images
  root = tmp_path / "root"
  settings = words_of(
    f"mining.images={json.dumps(tiny.mining.images)}",
    "mining.eval_share=0.5",
    "codec.width=0.02",
    "codec.own_weights=2",
    "training.steps=4",
    "training.summary_steps=4",
    "training.checkpoint_steps=4",
    "training.batch_size=2",
    "training.iterations=2",
    f"evaluation.images=[{json.dumps(image)}]",
    "evaluation.iterations=2",
    "evaluation.gates.0.bound=0",
  )
  run = ["run", "codec_2015_conv_residual", "--root", str(root), *settings]
  assert main([*run, "--require-blessing", "--json"]) == 0
  answer = json.loads(capfd.readouterr().out)
  assert {node["status"] for node in answer["nodes"]} == {"ran"}
  report = next(root.rglob("report.html")).read_text("utf-8")
  assert "as this model does above 0." in " ".join(report.split())

  model = ["--model", f"{root}/store:candidate"]
  stream, picture = str(tmp_path / "a.hmc"), str(tmp_path / "a.png")
  assert main(["encode", image, stream, "--iterations", "2", *model]) == 0
  assert main(["decode", stream, picture, *model]) == 0
  header = bitstream.read_header(Path(stream).read_bytes())
  assert (header.code_depth, header.iterations) == (16, 2)
  assert Image.open(picture).size == Image.open(image).size
  capfd.readouterr()
  more = str(tmp_path / "b.hmc")
  assert main(["encode", image, more, "--iterations", "3", *model]) == 2
  assert "1 to 2 iterations" in capfd.readouterr().err


CELLS = (
  "lstm:ConvLSTMCell",
  "gru:ConvGRUCell",
  "residual_gru:ResidualGRUCell",
  "associative_lstm:AssociativeLSTMCell",
)
FRAMEWORKS = ("one_shot", "additive", "residual_scaling")
FAMILY = [
  *((name,) for name in names() if name.startswith("codec_2015_")),
  *(
    (
      "codec_lstm_additive",
      f"codec.cell=trainers.codec.cells.{cell}",
      f"codec.reconstruction={framework}",
    )
    for cell, framework in itertools.product(CELLS, FRAMEWORKS)
  ),
]


def test_every_codec_of_the_papers_is_an_experiment(story, tmp_path, capfd):
  """A graph of every one; `test_family_learns` trains them."""
  assert len(FAMILY) == 4 + 4 * 3
  images = words_of(f"evaluation.images=[{json.dumps(str(story.photos / '*.png'))}]")
  for name, *settings in FAMILY:
    run = ["run", name, "--root", str(tmp_path), *images, *words_of(*settings)]
    assert main([*run, "--to", "ImportSchemaGen", "--json"]) == 0, settings
    assert json.loads(capfd.readouterr().out)["nodes"][0]["node"] == "ImportSchemaGen"


@pytest.mark.slow
def test_demo_compresses_a_photograph_with_the_model_it_pushed(tmp_path, capfd):
  gate = Gate(metric="ms_ssim_auc", bound=0.0).to_json()
  settings = [
    "mining.per_image=8",
    "training.steps=2",
    "training.warmup_steps=0",
    "training.summary_steps=2",
    "training.iterations=2",
    "training.batch_size=4",
    "evaluation.iterations=2",  # the first is coded to less than where areas begin
    "evaluation.max_images=1",
    f"evaluation.gates=[{gate}]",
  ]
  assert main(["demo", "--workdir", str(tmp_path), *words_of(*settings)]) == 0
  out = capfd.readouterr().out
  stream = tmp_path / "coffee.hmc"
  # 600x400 pixels are 38x25 blocks of 32 bits, twice, of which coding spares some.
  assert 0.5 < stream.stat().st_size / (2 * 38 * 25 * 4) < 1
  assert f"{stream.stat().st_size:,} bytes" in out
  assert Image.open(tmp_path / "coffee-compared.png").width > 3 * 600
  for stage in ("mine", "train", "evaluate", "push", "compress", "decompress"):
    assert f"\n{stage} " in out
  assert "report.html" in out
