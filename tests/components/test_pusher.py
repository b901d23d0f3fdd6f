"""The node that pushes: what it writes, and that TFX's properties are all there."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tfx.types import standard_artifacts

from hardmine.components.pusher import Executor
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import facts, write_model


@pytest.fixture
def push(tmp_path):
  """Pushes a fake model; returns the artifact."""
  given = facts("a")
  model = standard_artifacts.Model()
  model.uri = str(tmp_path / "model")
  write_model(tmp_path / "model" / "Format-Serving", "a")
  evaluation = standard_artifacts.ModelEvaluation()
  evaluation.uri = str(tmp_path / "evaluation")
  (tmp_path / "evaluation").mkdir()
  for name in ("metrics", "verdict"):
    (tmp_path / "evaluation" / f"{name}.json").write_text(json.dumps(given[name]))
  examples = standard_artifacts.Examples()
  examples.uri = str(tmp_path / "examples")
  (tmp_path / "examples").mkdir()
  (tmp_path / "examples" / "manifest.json").write_text("{}")

  def push(*, blessed: int = 1, answered: int = 1, run_id: str = "run-1"):
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", blessed)
    answer = standard_artifacts.InfraBlessing()
    answer.set_int_custom_property("blessed", answered)
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / "pushed")
    executor = Executor()
    executor._context = SimpleNamespace(_pipeline_run_id=run_id)
    executor.Do(
      {
        "model": [model],
        "model_blessing": [blessing],
        "infra_blessing": [answer],
        "evaluation": [evaluation],
        "examples": [examples],
      },
      {"pushed_model": [pushed]},
      {
        "store": str(tmp_path / "store"),
        "alias": "candidate",
        "experiment": json.dumps(given["experiment"]),
      },
    )
    return pushed

  return push


def test_a_blessed_model_becomes_a_version_and_the_candidate(push, tmp_path):
  pushed = push()
  store = ModelStore(tmp_path / "store")
  one = store.version(1)
  assert pushed.get_int_custom_property("pushed") == 1
  assert pushed.get_string_custom_property("pushed_destination") == str(
    store.local_dir(1)
  )
  assert pushed.get_string_custom_property("pushed_version") == "1"
  assert store.aliases() == {"candidate": 1}
  assert (one.kind, one.model_id) == ("codec", facts("a")["model_id"])
  assert one.metrics == facts("a")["metrics"]
  assert one.lineage["run_id"] == "run-1"
  assert one.lineage["pipeline"] == "tiny"
  assert len(one.lineage["examples_manifest_sha256"]) == 64
  assert [entry.who for entry in store.audit()] == ["pipeline tiny"] * 2


@pytest.mark.parametrize("kind", ["config", "training"])
def test_the_lineage_says_from_which_version_a_model_began(push, tmp_path, kind):
  before = ModelStore(tmp_path / "before")
  first = write_model(tmp_path / "first", "b")
  before.add(first, **facts("b"))
  path = tmp_path / "model" / "Format-Serving" / "assets.extra" / "codec.json"
  own = json.loads(path.read_text())
  said: dict = {"initial_weights": f"{before.url}/versions/1"}
  own[kind] = said if kind == "config" else json.dumps(said)
  path.write_text(json.dumps(own))
  push()
  one = before.version(1)
  assert ModelStore(tmp_path / "store").version(1).lineage["began_with"] == {
    "store": before.url,
    "version": 1,
    "digest": one.digest,
    "model_id": one.model_id,
  }


def test_a_second_run_with_the_same_model_pushes_no_second_version(push, tmp_path):
  push()
  push(run_id="run-2")
  store = ModelStore(tmp_path / "store")
  assert store.versions() == [1]
  assert len(store.audit()) == 2


@pytest.mark.parametrize("blessings", [{"blessed": 0}, {"answered": 0}])
def test_a_model_that_one_of_them_refuses_is_not_pushed(push, tmp_path, blessings):
  pushed = push(**blessings)
  assert pushed.get_int_custom_property("pushed") == 0
  assert not (tmp_path / "store").exists()
