"""The codec pipeline with its root in a bucket: what a root on a disk gives, anywhere.

S3 is moto's server on this machine, reached over HTTP by the client that users have.
"""

import json
import os

import pytest

from hardmine.pipelines.running import run_experiment
from hardmine.pipelines.site import Site
from hardmine.schemas.folders import folder
from hardmine.serving.store.store import ModelStore
from tests.e2e.tiny_codec import tiny_experiment
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow
ROOT = "s3://pipelines/runs/tiny"
NOT_REUSED = {"Rival"}  # a Resolver always looks


@pytest.fixture(scope="module")
def bucket():
  with s3_server("pipelines") as client:
    yield client


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
  return tiny_experiment(tmp_path_factory.mktemp("photos"), min_improvement=0.0)


@pytest.fixture
def run(bucket, experiment, tmp_path, monkeypatch):
  """Runs from a folder and with a state folder that nobody used before."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

  def run(root: str = ROOT):
    lines = []
    done, outcome = run_experiment(experiment, Site(root=root), say=lines.append)
    return done, outcome, lines

  return run


def statuses(done) -> dict[str, str]:
  return {node.node: node.status for node in done.nodes}


def test_a_root_in_a_bucket_gives_what_one_on_a_disk_gives(run, tmp_path):
  done, outcome, lines = run()
  assert outcome.blessed is True
  assert outcome.pushed_dir == f"{ROOT}/store/versions/1"
  assert outcome.report_path.startswith(f"{ROOT}/artifacts/CodecEvaluator/evaluation/")
  assert os.listdir(tmp_path) == ["state"]  # nothing where one stands
  store = ModelStore(f"{ROOT}/store")
  store.verify(1)
  assert any("records and logs are kept in" in line for line in lines)
  there = folder(ROOT)
  assert set(there.names()) == {"artifacts", "checkpoints", "metadata.sqlite", "store"}
  on_disk, other, _ = run(str(tmp_path / "root"))
  assert statuses(on_disk) == statuses(done)
  assert other.metrics.keys() == outcome.metrics.keys()
  assert numbers(other.metrics) == pytest.approx(numbers(outcome.metrics), rel=1e-5)
  assert other.losses[0].kept == outcome.losses[0].kept


def numbers(metrics: dict) -> dict[str, float]:
  return {name: value for name, value in metrics.items() if isinstance(value, float)}


def test_another_machine_finds_everything_and_makes_only_what_is_gone(run, tmp_path):
  """It has another working folder, and no file of the first but the bucket."""
  done, outcome, _ = run()
  assert {n for n, s in statuses(done).items() if s != "reused"} == NOT_REUSED
  assert outcome.pushed_version == 1
  (evaluation,) = done.node("CodecEvaluator").outputs["evaluation"]
  folder(evaluation).remove_tree()
  done, outcome, _ = run()
  evaluator = done.node("CodecEvaluator")
  assert evaluator.status == "ran"
  assert evaluator.why == f"its earlier output is gone: {evaluation}"
  assert done.node("Trainer").status == "reused"
  assert outcome.pushed_version == 1  # judged as before, so it is the same version
  log = folder(tmp_path).tree("state")
  assert sum(name.endswith(".log") for name in log) == 2
  assert json.loads(folder(ROOT).read("store/aliases/candidate.json"))
