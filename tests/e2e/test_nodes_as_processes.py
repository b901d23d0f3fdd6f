"""The codec pipeline as schedulers run it: one node a process, at once, again, killed.

Where nothing is shared but a bucket and a database: S3 is moto's server, the database
MariaDB, both on this machine.
"""

import contextlib
import json
import shutil
import subprocess
import threading
import time

import pytest

from hardmine.pipelines import metadata_store
from hardmine.pipelines.codec import NODES
from hardmine.schemas.folders import folder
from hardmine.serving.store.store import ModelStore
from tests.e2e.node_processes import node_processes
from tests.e2e.tiny_codec import tiny_experiment
from tests.mysql_server import mysql_server
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow
ROOT = "s3://nodes/runs"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  home = tmp_path_factory.mktemp("nodes")
  experiment = tiny_experiment(home)
  (home / "tiny.json").write_text(experiment.to_json())
  return home


@pytest.fixture(scope="module")
def server(home):
  (home / "mysql").mkdir()
  with mysql_server(home / "mysql") as server:
    yield server


@pytest.fixture(scope="module")
def nodes(home, server):
  (home / "logs").mkdir()
  with pytest.MonkeyPatch.context() as patch, s3_server("nodes"):
    patch.setenv("HARDMINE_METADATA", server.url("records"))
    patch.setenv("XDG_STATE_HOME", str(home / "state"))
    patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    with node_processes(home / "logs") as nodes:
      yield nodes


@pytest.fixture(scope="module")
def words(home):
  def words(node: str, run_id: str, *more: str, root: str = ROOT) -> list[str]:
    run = ["run", str(home / "tiny.json"), "--root", root]
    return [*run, "--node", node, "--run-id", run_id, *more]

  return words


def drive(nodes, words, run_id: str, more: tuple[str, ...], statuses: list) -> None:
  """What a scheduler does: a node when those before it have ended."""
  for node in NODES:
    command = nodes.run(*words(node, run_id, *more))
    statuses.append((run_id, node, command.status, command.output))


@pytest.fixture(scope="module")
def driven(nodes, words):
  """Two schedulers drive the same two runs, which train for 4 and for 6 steps."""
  statuses, threads = [], []
  for _scheduler in range(2):
    for run_id, steps in (("nightly/4", 4), ("manual__2026-11-27T02:00:00+00:00", 6)):
      more = ("--set", f"training.steps={steps}")
      arguments = (nodes, words, run_id, more, statuses)
      threads.append(threading.Thread(target=drive, args=arguments))
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  return statuses


@pytest.fixture(scope="module")
def records(server, driven):
  place = server.url("records")
  return metadata_store.opened(metadata_store.connection_config(place), place)


def executions(records, node: str) -> dict[str, list[str]]:
  """States by run."""
  found: dict[str, list[str]] = {}
  context = records.get_context_by_type_and_name("node", f"tiny.{node}")
  for execution in records.get_executions_by_context(context.id):
    kind = type(execution).State.Name(execution.last_known_state)
    for other in records.get_contexts_by_execution(execution.id):
      if other.type == "pipeline_run":
        found.setdefault(other.name, []).append(kind)
  return found


def test_every_node_ends_well_for_both_schedulers(driven):
  assert len(driven) == 4 * len(NODES)
  failed = [one for one in driven if one[2] != 0]
  assert not failed, failed[0]
  texts = [text for *_, text in driven]
  assert any("nothing to do" in text for text in texts)


def test_nothing_is_run_twice(records):
  trained = executions(records, "Trainer")
  assert sorted(trained.values()) == [["COMPLETE"], ["COMPLETE"]]
  for node in ("PatchGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator"):
    assert sorted(executions(records, node).values()) == [["CACHED"], ["COMPLETE"]]
  for node in NODES:
    assert [len(states) for states in executions(records, node).values()] == [1, 1]


def test_both_models_are_whole_and_right(driven):
  store = ModelStore(f"{ROOT}/store")
  assert store.versions() == [1, 2]
  steps = set()
  for version in (1, 2):
    store.verify(version)
    facts = folder(f"{ROOT}/store/versions/{version}/assets.extra")
    steps.add(json.loads(facts.read("experiment.json"))["training"]["steps"])
  assert steps == {4, 6}


def test_the_root_holds_no_lock_and_no_records_of_its_own(driven):
  assert set(folder(ROOT).names()) == {"artifacts", "checkpoints", "store"}


def test_another_root_may_not_take_the_name(nodes, words, driven):
  command = nodes.run(*words("PatchGen", "1", root="s3://nodes/others"))
  assert command.status == 2
  assert "where this database knows 'tiny' from" in command.output


def test_a_worse_model_ends_its_branch_by_its_own_status(nodes, words, driven):
  """Nodes before are reused; every try of a node that said no says no."""
  more = ("--set", 'evaluation.gates=[{"metric": "ms_ssim_auc", "bound": 1.9}]')
  for node in NODES[:-2]:
    assert nodes.run(*words(node, "worse", *more)).status == 0
  for _ in range(2):
    command = nodes.run(*words("CodecEvaluator", "worse", *more))
    assert command.status == 3, command.output
    assert "NOT BLESSED" in command.output
  command = nodes.run(*words("Pusher", "worse", *more))
  assert command.status == 3
  assert ModelStore(f"{ROOT}/store").versions() == [1, 2]


def test_a_killed_training_is_tried_again_and_goes_on(nodes, words, driven, records):
  """And while it is at work, a second process waits for it."""
  more = ("--set", "training.steps=3000", "--set", "training.checkpoint_steps=1")
  for node in NODES[: NODES.index("Trainer")]:
    assert nodes.run(*words(node, "killed", *more)).status == 0
  training = nodes.start(*words("Trainer", "killed", *more))
  until(lambda: " steps/s " in training.output, training)
  other = nodes.start(*words("Trainer", "killed", *more))
  until(lambda: "another process is at Trainer of killed" in other.output, other)
  training.kill()
  assert training.wait() == -9
  until(lambda: "resum" in other.output, other)
  other.kill(15)
  start = time.monotonic()
  assert other.wait() == 128 + 15
  assert time.monotonic() - start < 10
  assert executions(records, "Trainer")["killed"][0] in ("RUNNING", "FAILED")
  assert len(executions(records, "Trainer")["killed"]) == 1


def until(is_so, command) -> None:
  deadline = time.monotonic() + 120
  while not is_so():
    assert time.monotonic() < deadline, command.output
    assert not command.ended.is_set(), command.output
    time.sleep(0.1)


def test_a_node_too_early_or_in_a_bucket_without_a_database_is_told(
  nodes, words, driven, home
):
  command = nodes.run(*words("Trainer", "early"))
  assert command.status == 1
  assert "Trainer needs what DataCheck makes" in command.output
  own = ("--metadata", str(home / "m.sqlite"))
  command = nodes.run(*words("Trainer", "early", *own))
  assert command.status == 2
  assert "--metadata mysql://" in command.output


def test_a_database_that_goes_away_is_a_line_and_the_work_goes_on_after(
  nodes, words, driven, server
):
  """It is gone when the node ends, for longer than is waited."""
  server.stop()
  try:
    command = nodes.run(*words("PatchGen", "gone"))
    assert command.status == 1
    lines = [x for x in command.output.splitlines() if x.startswith("hardmine:")]
    assert len(lines) == 1
    assert "the database mysql://hardmine@127.0.0.1" in lines[0]
  finally:
    with contextlib.suppress(Exception):
      server.start()
  assert nodes.run(*words("PatchGen", "gone")).status == 0


@pytest.fixture
def small_disk(home):
  """A folder with room for so many kilobytes, and what changes that."""
  place = home / "small"
  place.mkdir()

  def mount(option: str) -> bool:
    words = ["mount", "-t", "tmpfs", "-o", option, "none", str(place)]
    return subprocess.run(words, capture_output=True).returncode == 0

  if shutil.which("mount") is None or not mount("size=32k"):
    pytest.skip("this machine does not let us mount a small disk")
  yield place, lambda kilobytes: mount(f"remount,size={kilobytes}k")
  subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_a_line_and_nothing_is_half_written(nodes, words, small_disk):
  """Too small for the records, then for the outputs, then large enough."""
  place, resize = small_disk
  own = ("--metadata", str(place / "metadata.sqlite"))
  run = words("PatchGen", "full", *own, root=str(place))
  for kilobytes in (32, 300, 350):
    resize(kilobytes)
    command = nodes.run(*run)
    assert command.status == 1, command.output
    lines = [x for x in command.output.splitlines() if x.startswith("hardmine:")]
    assert len(lines) == 1
    assert "disk is full" in lines[0] or "No space left" in lines[0], lines
    assert "INSERT" not in lines[0]
  resize(100_000)
  command = nodes.run(*run)
  assert command.status == 0, command.output
  outputs = list(place.glob("artifacts/PatchGen/examples/*"))
  assert len(outputs) == 1
  assert nodes.run(*words("StatisticsGen", "full", *own, root=str(place))).status == 0
